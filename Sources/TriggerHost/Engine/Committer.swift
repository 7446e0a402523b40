import TriggerCore

/// Applies the write set of one seq, all or none. Engine lock.
struct Committer {
  let reclaimer: Reclaimer
  let limits: ValueLimits

  /// Why a commutative or whole-store intent cannot apply.
  struct Failure: Error {
    var message: String
  }

  /// A key that a commit changed.
  struct ChangedKey {
    var table: Unmanaged<StoreTable>
    var key: [UInt8]
  }

  private struct Staged {
    var table: Unmanaged<StoreTable>
    var key: [UInt8]
    var version: UnsafeMutablePointer<Version>
  }

  /// O(writes), plus O(keys of the store) for a replacement.
  ///
  /// - Parameter isNew: decided now, not in an earlier run: stores may refuse it.
  /// - Returns: the changed keys, each at least once, when `tellsKeys`; otherwise nothing.
  @discardableResult
  func apply(
    _ writes: borrowing WriteSet, seq: Int64, tellsKeys: Bool = false, isNew: Bool = false
  ) throws(Failure) -> [ChangedKey] {
    reclaimer.begin(seq)
    guard writes.isPlain else { return try applyStaged(writes, seq: seq, isNew: isNew) }
    var changed: [ChangedKey] = []
    for index in 0..<writes.count {
      let write = writes.writes + index
      guard let table = write.pointee.table else { continue }
      if tellsKeys { changed.append(ChangedKey(table: table, key: Array(write.pointee.keyBytes))) }
      let version = writes.takeVersion(index)
      table._withUnsafeGuaranteedRef { table in
        table.put(version, to: entry(of: write, in: table), seq: seq, reclaim: reclaimer)
      }
    }
    return changed
  }

  @inline(__always)
  private func entry(
    of write: UnsafeMutablePointer<WriteSet.Write>, in table: StoreTable
  ) -> UnsafeMutablePointer<Entry> {
    if let entry = write.pointee.entry, !entry.pointee.isUnlinked { return entry }
    let key = write.pointee.keyBytes
    return table.makeEntry(key.baseAddress!, key.count, hash: write.pointee.hash, reclaim: reclaimer)
  }

  /// What a list of intents does so far, in order, and the newest place of each key in it.
  private struct Stage {
    private struct Place: Hashable {
      var table: UnsafeMutableRawPointer
      var key: [UInt8]
    }
    private(set) var items: [Staged] = []
    private var places: [Place: Int] = [:]

    mutating func append(
      _ version: UnsafeMutablePointer<Version>, at key: [UInt8], in table: Unmanaged<StoreTable>
    ) {
      places[Place(table: table.toOpaque(), key: key)] = items.count
      items.append(Staged(table: table, key: key, version: version))
    }

    func version(of key: [UInt8], in table: Unmanaged<StoreTable>) -> UnsafeMutablePointer<Version>? {
      places[Place(table: table.toOpaque(), key: key)].map { items[$0].version }
    }

    /// What the list leaves: of each key the newest.
    var newest: [Staged] { places.values.sorted().map { items[$0] } }

    /// Keys of a store that the list has changed so far.
    func keys(of table: Unmanaged<StoreTable>) -> Set<[UInt8]> {
      Set(places.keys.lazy.filter { $0.table == table.toOpaque() }.map(\.key))
    }
  }

  /// Commutative intents and replacements look at the state, and each sees what those before it in the
  /// list did; nothing is linked until all of them could be worked out.
  private func applyStaged(
    _ writes: borrowing WriteSet, seq: Int64, isNew: Bool
  ) throws(Failure) -> [ChangedKey] {
    var staged = Stage()
    do throws(Failure) {
      for index in 0..<writes.count {
        let write = writes.writes[index]
        guard let table = write.table else { continue }
        if write.kind == .replace {
          try stageReplacement(write.operand, in: table, into: &staged)
          continue
        }
        let key = Array(write.keyBytes)
        let version: UnsafeMutablePointer<Version>
        switch write.kind {
        case .put, .delete: version = writes.takeVersion(index)
        default:
          let current = staged.version(of: key, in: table) ?? committed(key, write.hash, in: table)
          version = try combine(write.kind, current: current, operand: write.operand) {
            "\(table._withUnsafeGuaranteedRef { $0.name })/\(String(decoding: key, as: UTF8.self))"
          }
        }
        staged.append(version, at: key, in: table)
      }
      if isNew { try check(staged) }
    } catch {
      for item in staged.items { Version.free(item.version) }
      throw error
    }
    for item in staged.items {
      item.table._withUnsafeGuaranteedRef { table in
        item.key.withUnsafeBufferPointer { key in
          let hash = KeyHash.of(key.baseAddress!, count: key.count)
          let entry = table.makeEntry(key.baseAddress!, key.count, hash: hash, reclaim: reclaimer)
          table.put(item.version, to: entry, seq: seq, reclaim: reclaimer)
        }
      }
    }
    return staged.items.map { ChangedKey(table: $0.table, key: $0.key) }
  }

  // MARK: What stores refuse

  private static let refusal = "refused by store "

  /// Whether an error tells of what a store's backend does not take: that is not in the log.
  static func isRefusal(_ error: String?) -> Bool { error?.hasPrefix(refusal) == true }

  /// What a list does to a store that has a rule.
  private struct Growth {
    var names: FileNames
    var keys = 0
    var bytes = 0
    var table: StoreTable { names.table }
  }

  /// Asks the rules of the stores about what the list leaves.
  private func check(_ staged: Stage) throws(Failure) {
    var growth: [UnsafeMutableRawPointer: Growth] = [:]
    for item in staged.newest {
      let table = item.table.takeUnretainedValue()
      guard let rule = table.rule else { continue }
      let value = item.version.isDeleted ? nil : Version.value(item.version)
      if let refusal = item.key.withUnsafeBufferPointer({ rule.refusal(of: $0, value) }) {
        throw refused(by: table, "\(String(decoding: item.key, as: UTF8.self)): \(refusal)")
      }
      let old = committed(item.key, Self.hash(of: item.key), in: item.table)
      add(
        item, after: old, to: &growth[item.table.toOpaque(), default: Growth(names: FileNames(table: table))])
    }
    let sums = growth.values.sorted { $0.table.name < $1.table.name }
    for item in sums where item.keys > 0 || item.bytes > 0 {
      let refusal = item.table.rule?.refusal(
        ofKeys: item.table.liveKeys.load(ordering: .relaxed) + max(item.keys, 0),
        bytes: item.table.liveBytes.load(ordering: .relaxed) + max(item.bytes, 0))
      if let refusal { throw refused(by: item.table, refusal) }
    }
    try takeNames(sums.filter { $0.table.rule!.keysAreFilePaths }.map(\.names), of: staged)
  }

  private func refused(by table: StoreTable, _ reason: String) -> Failure {
    Failure(message: "\(Self.refusal)'\(table.name)': \(reason)")
  }

  private func add(_ item: Staged, after old: UnsafeMutablePointer<Version>?, to sum: inout Growth) {
    let old = old.flatMap { $0.isDeleted ? nil : $0 }
    if let old {
      sum.keys -= 1
      sum.bytes -= item.key.count + Int(old.pointee.length)
    }
    if !item.version.isDeleted {
      sum.keys += 1
      sum.bytes += item.key.count + Int(item.version.pointee.length)
    }
    if old == nil, !item.version.isDeleted { sum.names.new.append(item.key) }
    if old != nil, item.version.isDeleted { sum.names.gone.append(item.key) }
  }

  /// Last of all: nothing is refused afterwards.
  private func takeNames(_ names: [FileNames], of staged: Stage) throws(Failure) {
    // A commit of the host's own tells of files that are there.
    let isOfHost = staged.items.contains { $0.table._withUnsafeGuaranteedRef { $0.isInternal } }
    for (index, item) in names.enumerated() where !item.new.isEmpty || !item.gone.isEmpty {
      guard let refusal = item.take(refuses: !isOfHost) else { continue }
      for taken in names[..<index] { taken.giveBack() }
      throw refused(by: item.table, refusal)
    }
  }

  private static func hash(of key: [UInt8]) -> UInt64 {
    key.withUnsafeBufferPointer { KeyHash.of($0.baseAddress!, count: $0.count) }
  }

  private func committed(
    _ key: [UInt8], _ hash: UInt64, in table: Unmanaged<StoreTable>
  ) -> UnsafeMutablePointer<Version>? {
    table._withUnsafeGuaranteedRef { table in
      key.withUnsafeBufferPointer { table.entry($0.baseAddress!, $0.count, hash: hash) }
    }.flatMap { Entry.visible($0, at: .max) }
  }

  // MARK: Commutative intents

  private func combine(
    _ kind: IntentKind, current: UnsafeMutablePointer<Version>?, operand: UnsafeBufferPointer<UInt8>,
    at place: () -> String
  ) throws(Failure) -> UnsafeMutablePointer<Version> {
    let old = try current.flatMap { version throws(Failure) in
      version.isDeleted
        ? nil
        : try decode(UnsafeBufferPointer(start: Version.bytes(version), count: Int(version.pointee.length)))
    }
    let new: Value
    // What is appended lies one level deeper than it was prepared.
    if kind == .append, CBORReader.depth(of: UnsafeRawBufferPointer(operand)) >= limits.depth {
      throw Failure(message: "append at \(place()): nested deeper than \(limits.depth) levels")
    }
    switch (old, try decode(operand)) {
    case (let old, let end) where kind == .appendText:
      guard let text = (old ?? .string("")).text(followedBy: end) else {
        let wrong = end.isText ? "the value there is \(old!.kindName), expected a string" : nil
        throw Failure(
          message: "append_text at \(place()): \(wrong ?? "expected a string, got \(end.kindName)")")
      }
      new = text
    case (nil, let value) where kind == .append: new = .array([value])
    case (nil, let value):
      guard value.number != nil else {
        throw Failure(message: "\(kind) at \(place()): expected a number, got \(value.kindName)")
      }
      new = value
    case (.array(let items)?, let value) where kind == .append: new = .array(items + [value])
    case (.int(let a)?, .int(let b)) where kind == .add:
      let (sum, overflow) = a.addingReportingOverflow(b)
      if overflow { throw Failure(message: "add at \(place()): \(a) + \(b) does not fit in 64 bits") }
      new = .int(sum)
    case (let a?, let b) where kind != .append:
      guard let x = a.number, let y = b.number else {
        throw Failure(message: "\(kind) at \(place()): the value there is \(a.kindName), expected a number")
      }
      switch kind {
      case .add: new = .double(x + y)
      case .max: new = y > x ? b : a
      default: new = y < x ? b : a
      }
    case (let a?, _):
      throw Failure(message: "append at \(place()): the value there is \(a.kindName), expected an array")
    }
    let bytes = CanonicalEncoding.encode(new)
    if bytes.count > limits.encodedBytes {
      throw Failure(
        message:
          "\(kind) at \(place()): the value would take \(bytes.count) bytes, the limit is \(limits.encodedBytes)"
      )
    }
    return bytes.withUnsafeBytes { Version.make($0.baseAddress, count: $0.count) }
  }

  private func decode(_ bytes: UnsafeBufferPointer<UInt8>) throws(Failure) -> Value {
    do { return try CanonicalEncoding.decode(UnsafeRawBufferPointer(bytes)) } catch {
      throw Failure(message: "a stored value is damaged: \(error)")
    }
  }

  // MARK: Whole store

  /// The store becomes `content` (a map): keys that differ are put, keys that are gone are deleted.
  private func stageReplacement(
    _ content: UnsafeBufferPointer<UInt8>, in table: Unmanaged<StoreTable>, into staged: inout Stage
  ) throws(Failure) {
    var reader = CBORReader(UnsafeRawBufferPointer(content))
    guard let entries = try? reader.entries() else {
      throw Failure(message: "prepare_commit needs a map of keys to values")
    }
    var wanted: [[UInt8]: UnsafeRawBufferPointer] = [:]
    for (key, value) in entries { wanted[Array(key)] = value }
    if wanted[[]] != nil { throw Failure(message: "prepare_commit: a key is empty") }
    // Keys that earlier intents of the list changed are set whatever the committed value is.
    var touched = staged.keys(of: table)
    table._withUnsafeGuaranteedRef { store in
      store.scan(prefix: UnsafeBufferPointer(start: nil, count: 0), at: .max) { entry, version in
        let key = Array(UnsafeBufferPointer(start: Entry.key(entry), count: Int(entry.pointee.keyLength)))
        let isTouched = touched.remove(key) != nil
        guard let value = wanted.removeValue(forKey: key) else {
          staged.append(Version.makeDeleted(), at: key, in: table)
          return true
        }
        let old = UnsafeBufferPointer(start: Version.bytes(version), count: Int(version.pointee.length))
        if isTouched || !value.elementsEqual(old) {
          staged.append(Version.make(value.baseAddress, count: value.count), at: key, in: table)
        }
        return true
      }
    }
    for key in touched.sorted(by: { $0.lexicographicallyPrecedes($1) }) where wanted[key] == nil {
      staged.append(Version.makeDeleted(), at: key, in: table)
    }
    for (key, value) in wanted.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      staged.append(Version.make(value.baseAddress, count: value.count), at: key, in: table)
    }
  }
}

extension Value {
  /// Integers and floats as a double, nil for anything else.
  fileprivate var number: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }

  /// Strings and byte strings as one: a string when it is UTF-8. Nil when one of them is neither.
  fileprivate func text(followedBy end: Value) -> Value? {
    if case .string(let text) = self, case .string(let more) = end { return .string(text + more) }
    guard let start = stringBytes, let end = end.stringBytes else { return nil }
    let bytes = start + end
    return String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .bytes(bytes)
  }

  fileprivate var isText: Bool { stringBytes != nil }

  private var stringBytes: [UInt8]? {
    switch self {
    case .string(let text): Array(text.utf8)
    case .bytes(let bytes): bytes
    default: nil
    }
  }

  fileprivate var kindName: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .int, .double: "a number"
    case .string: "a string"
    case .bytes: "a byte string"
    case .array: "an array"
    case .map: "a map"
    }
  }
}
