import TriggerCore

/// A store as Swift code sees it: reads as of a snapshot, and prepares changes.
///
/// Inside a trigger every read is as of the execution's snapshot and joins its read set. Outside, it is as
/// of the newest commit. A store must be registered with a coordinator before it is read. Any thread.
///
/// Reads throw `StoreError` when the store is not registered, when `execute` has returned, when the snapshot
/// was held for too long (`snapshot_too_old`), or outside a trigger when too many read at once.
public final class VersionedStore<Backend: StoreBackend>: @unchecked Sendable, CustomStringConvertible {
  // `attachment` is written once, by `register`, before the store is used.
  /// What coordinators, scripts and the log know it by.
  public let name: String
  /// Where the store lives; follows the commits once it is registered.
  public let backend: Backend
  private(set) var attachment: (engine: Engine, table: StoreTable)?

  /// Not usable yet: register it with a coordinator first.
  public init(_ name: String, backend: Backend) {
    self.name = name
    self.backend = backend
  }

  func attach(to engine: Engine, table: StoreTable) { attachment = (engine, table) }

  /// Seq of the last commit that changed the store, and its whole content. Joins the whole store to the
  /// read set. O(keys).
  ///
  /// - Throws: `StoreError`; what the backend throws when it cannot make a content of the keys and values.
  public func readSnapshot() throws -> (seq: Int64, value: Backend.Content) {
    let (engine, table) = try attached()
    let (seq, values) = try engine.reading { snapshot, attempt in
      attempt?.reads.add(whole: table)
      return (table.version(at: snapshot), table.content(at: snapshot))
    }
    ExecutionContext.current?.noteVersion(seq, of: name)
    return (seq, try backend.content(of: values))
  }

  /// Replaces the whole store; applied as the keys that differ. Changes nothing yet.
  ///
  /// - Parameter seq: what `readSnapshot` gave in this execution.
  /// - Throws: `StoreError` when it was not read in this execution; what the backend throws for a content
  ///   without keys and values.
  public func prepareCommit(_ seq: Int64, _ content: Backend.Content) throws -> CommitIntent {
    if let context = ExecutionContext.current, !context.hasRead(seq, of: name) {
      throw StoreError("prepareCommit(\(seq)) on store '\(name)': that seq was not read in this execution")
    }
    let value = Value.map(try backend.values(of: content))
    return CommitIntent(action: .change(.replace, name), key: "", value: CanonicalEncoding.encode(value))
  }

  /// The value at a key, nil when there is none. O(1).
  public func get(_ key: String) throws -> Value? {
    let (engine, table) = try attached()
    var key = key
    return try engine.reading { snapshot, attempt in
      key.withUTF8 { bytes in
        guard let base = bytes.baseAddress, bytes.count > 0 else { return nil }
        let hash = KeyHash.of(base, count: bytes.count)
        let entry = table.entry(base, bytes.count, hash: hash)
        if let entry {
          attempt?.reads.add(entry: entry, in: table)
        } else {
          attempt?.reads.add(absent: base, bytes.count, hash: hash, in: table)
        }
        guard let entry, let version = Entry.visible(entry, at: snapshot), !version.isDeleted else {
          return nil
        }
        return StoreTable.value(version)
      }
    }
  }

  /// Keys with a prefix and their values, in byte order of the keys; the prefix joins the read set, so a
  /// key that appears under it later is a conflict. O(log keys + result).
  ///
  /// - Parameter limit: most keys to give.
  public func scan(prefix: String = "", limit: Int = .max) throws -> [(key: String, value: Value)] {
    if limit <= 0 { return [] }
    let (engine, table) = try attached()
    var prefix = prefix
    return try engine.reading { snapshot, attempt in
      prefix.withUTF8 { bytes in
        attempt?.reads.add(prefix: bytes, in: table)
        var result: [(key: String, value: Value)] = []
        table.scan(prefix: bytes, at: snapshot) { entry, version in
          result.append((StoreTable.key(entry), StoreTable.value(version)))
          return result.count < limit
        }
        return result
      }
    }
  }

  /// Sets the key to `value`, whatever is there; nil deletes it. The key must not be empty.
  public func put(_ key: String, _ value: Value?) -> CommitIntent {
    guard let value else { return CommitIntent(action: .change(.delete, name), key: key, value: []) }
    return prepare(.put, key, value)
  }
  /// Adds a number to the one at the key; puts it when nothing is there. Integers add up to an integer, with
  /// a float on either side to a float. Reads nothing, so it conflicts with nothing. The seq fails, with
  /// nothing applied, when the value there is no number or an integer sum does not fit 64 bits.
  public func add(_ key: String, _ value: Value) -> CommitIntent { prepare(.add, key, value) }
  /// Puts a number when the one at the key is less or nothing is there; integers and floats compare as
  /// doubles. Reads nothing, so it conflicts with nothing. The seq fails when the value there is no number.
  public func max(_ key: String, _ value: Value) -> CommitIntent { prepare(.max, key, value) }
  /// Puts a number when the one at the key is greater or nothing is there; for the rest like `max`.
  public func min(_ key: String, _ value: Value) -> CommitIntent { prepare(.min, key, value) }
  /// Adds an element to the end of the array at the key; puts `[value]` when nothing is there. Reads nothing,
  /// so it conflicts with nothing. The seq fails when the value there is no array or would grow beyond
  /// `ValueLimits.encodedBytes`. O(array) at the commit.
  public func append(_ key: String, _ value: Value) -> CommitIntent { prepare(.append, key, value) }
  /// Adds text, or bytes, to the end of the string at the key; puts it when nothing is there. Reads nothing, so it
  /// conflicts with nothing. The seq fails when the value there is no string or would grow beyond
  /// `ValueLimits.encodedBytes`. O(string) at the commit.
  ///
  /// - Parameter text: a string or a byte string.
  public func appendText(_ key: String, _ text: Value) -> CommitIntent { prepare(.appendText, key, text) }

  private func prepare(_ change: ChangeKind, _ key: String, _ value: Value) -> CommitIntent {
    CommitIntent(action: .change(change, name), key: key, value: CanonicalEncoding.encode(value))
  }

  private func attached() throws -> (engine: Engine, table: StoreTable) {
    guard let attachment else { throw StoreError("store '\(name)' is not registered with a coordinator") }
    return attachment
  }

  /// `store counters: seq 12, 3 keys`, as of the newest commit; the seq is that of the store's last change.
  public var description: String {
    guard let table = attachment?.table else { return "store \(name) (not registered)" }
    let keys = table.liveKeys.load(ordering: .relaxed)
    return
      "store \(name): seq \(table.changed.load(ordering: .relaxed)), \(keys) \(keys == 1 ? "key" : "keys")"
  }
}
