import DequeModule
import Synchronization
import TriggerCore

/// A log in memory: the readable definition of the contract of `LogStore`. Any thread.
package final class MemoryLogStore: LogStore {
  private let kept: Mutex<Kept>

  private let limit: Int

  /// - Parameter limit: with more bytes of records it lets go of the oldest blocks.
  package init(keeping limit: Int = .max) {
    kept = Mutex(Kept())
    self.limit = limit
  }

  package func beginEpoch(time: Int64, seed: UInt64, versions: String) -> Int64 {
    kept.withLock { kept in
      kept.changes += 1
      kept.epochs.append(LogEpoch(number: kept.epoch + 1, started: time, versions: versions))
      return kept.epoch
    }
  }

  package func write(_ group: LogGroup, epoch: Int64) throws(LogFailure) {
    let failure: LogFailure? = kept.withLock { kept in
      do throws(LogFailure) {
        if group.jobs.isEmpty {
          // Refused before anything of it is there. Not on a copy: that would cost every group all blocks.
          try kept.apply(group, epoch: epoch)
        } else {
          // On a copy, so that nothing stays of a group that is refused.
          var changed = kept
          try changed.apply(group, epoch: epoch)
          kept = changed
        }
      } catch { return error }
      kept.letGo(toKeep: limit)
      return nil
    }
    if let failure { throw failure }
  }

  package func look(epoch: Int64) throws(LogFailure) {
    if read({ $0.epoch }) != epoch { throw .fenced }
  }

  package func openSource() -> any LogSource { MemoryLogSource(self) }

  /// What is kept, as of now.
  fileprivate func read<Result>(_ body: (Kept) -> Result) -> Result {
    kept.withLock { body($0) }
  }
}

/// Everything that a log keeps.
private struct Kept: Sendable {
  struct Checkpoint: Sendable {
    var head: KeptCheckpoint
    var fold: [UInt8]
    var digests: [UInt8]
  }
  typealias Part = (checksum: Int64, bytes: [UInt8])
  typealias KeyRows = (through: Int64, entries: [UInt8], rows: [UInt8])

  let id = Int64.random(in: 1 ... .max)
  var changes: Int64 = 0
  var epochs: [LogEpoch] = []
  var blocks: Deque<LogBlock> = []
  /// Of the records of all blocks.
  var bytes = 0
  var cut: LogPosition?
  var accepted: [EventID: [UInt8]] = [:]
  var checkpoints: [Checkpoint] = []
  /// The parts, by the checkpoint's number and the part's number.
  var parts: [Int64: [Int64: Part]] = [:]
  var foldPieces: [Int64: [Int64: [UInt8]]] = [:]
  var keyParts: [Int64: KeyRows] = [:]
  var trees: [(tree: KeptScriptTree, files: [String: [UInt8]])] = []
  var waiting: [ScriptReload.Waiting] = []
  var schedules: [String: (rule: String, since: Int64)] = [:]
  var confirmed: [String: Int64] = [:]
  var sessions: [String: [UInt8]] = [:]
  var marks: [Int64: DeadMark] = [:]

  var epoch: Int64 { epochs.last?.number ?? 0 }
  var end: LogPosition { blocks.last?.end ?? LogPosition() }

  mutating func apply(_ group: LogGroup, epoch: Int64) throws(LogFailure) {
    if group.isEmpty { return }
    guard epoch == self.epoch else { throw .fenced }
    for id in group.accepted.keys { try require(accepted[id] == nil, "event \(id) is kept already") }
    if !group.records.isEmpty { try append(group, epoch: epoch) }
    changes += 1
    accepted.merge(group.accepted) { $1 }
    for id in group.settled { accepted[id] = nil }
    for job in group.jobs { try apply(job) }
  }

  private mutating func append(_ group: LogGroup, epoch: Int64) throws(LogFailure) {
    // An empty log may begin anywhere.
    try require(
      blocks.isEmpty || group.first == end.seq + 1,
      "seqs \(group.first) to \(group.last) do not follow seq \(end.seq)")
    blocks.append(LogBlock(group, after: end, epoch: epoch, bytes: group.records))
    bytes += group.records.count
  }

  /// Lets go of the oldest blocks but for the newest one, while there are more bytes of records.
  mutating func letGo(toKeep limit: Int) {
    while bytes > limit, blocks.count > 1 { dropFirst() }
  }

  private mutating func dropFirst() {
    let block = blocks.removeFirst()
    bytes -= block.bytes?.count ?? 0
    cut = block.end
  }

  /// The place of the first block that ends after `seq`. O(log blocks).
  func place(after seq: Int64) -> Int {
    var (low, high) = (0, blocks.count)
    while low < high {
      let middle = (low + high) / 2
      if blocks[middle].last > seq { high = middle } else { low = middle + 1 }
    }
    return low
  }

  private mutating func apply(_ job: LogJob) throws(LogFailure) {
    switch job {
    case .part(let part, let checksum, let number, let checkpoint):
      let before = parts[checkpoint, default: [:]].updateValue((checksum, part.bytes), forKey: number)
      try require(before == nil, "part \(number) of checkpoint \(checkpoint) is there already")
    case .foldPiece(let bytes, let number, let checkpoint):
      foldPieces[checkpoint, default: [:]][number] = bytes
    case .checkpoint(let head, let fold, let digests):
      try require(!checkpoints.contains { $0.head.id == head.id }, "checkpoint \(head.id) is there already")
      let pieces = foldPieces.removeValue(forKey: head.id) ?? [:]
      let whole = pieces.sorted { $0.key < $1.key }.reduce(into: fold) { $0 += $1.value }
      checkpoints.append(Checkpoint(head: head, fold: whole, digests: digests))
    case .keyParts(let parts, let first, let through, let seed):
      for (number, part) in zip(first..., parts) {
        let kept = (through, part.entries(seed: seed), part.encodedRows)
        try require(
          keyParts.updateValue(kept, forKey: number) == nil, "part \(number) of keys is there already")
      }
    case .tree(let identity, let changed, let removed, let seq):
      try add(identity, changed, removed, seq)
    case .treeInForce(let number, let seq):
      for place in trees.indices where trees[place].tree.identity.number == number {
        trees[place].tree.seq = trees[place].tree.seq ?? seq
      }
    case .waiting(let files): waiting = files.sorted { $0.path < $1.path }
    case .schedule(let name, let rule, let since): schedules[name] = (rule, since)
    case .confirmed(let receiver, let seq): confirmed[receiver] = seq
    case .sessions(let changed, let removed):
      for row in changed { sessions[row.id] = row.state }
      for id in removed { sessions[id] = nil }
    case .mark(let seq, let mark, _):
      try require(marks.updateValue(mark, forKey: seq) == nil, "seq \(seq) has a mark already")
    case .dropBlocks(let seq): while let first = blocks.first, first.last <= seq { dropFirst() }
    case .dropCheckpoint(let id): checkpoints.removeAll { $0.head.id == id }
    case .dropParts(let id, let most):
      for number in (parts[id] ?? [:]).keys.sorted().prefix(most) { parts[id]?[number] = nil }
      if parts[id]?.isEmpty == true { parts[id] = nil }
    case .dropKeyParts(let numbers): for number in numbers { keyParts[number] = nil }
    case .shrink: break
    }
  }

  private mutating func add(
    _ identity: ScriptTree.Identity, _ changed: [String: [UInt8]], _ removed: [String], _ seq: Int64
  ) throws(LogFailure) {
    let isNew = !trees.contains { $0.tree.identity.number == identity.number }
    try require(isNew, "script tree \(identity.number) is there already")
    var files = trees.last?.files ?? [:]
    files.merge(changed) { $1 }
    for path in removed { files[path] = nil }
    let tree = KeptScriptTree(
      identity: identity, seq: seq > 0 ? seq : nil, changed: changed.keys.sorted(), removed: removed.sorted())
    trees.append((tree, files))
  }

  private func require(_ holds: Bool, _ otherwise: @autoclosure () -> String) throws(LogFailure) {
    if !holds { throw .refused(otherwise()) }
  }
}

/// Reads what a `MemoryLogStore` keeps.
private final class MemoryLogSource: LogSource {
  private let store: MemoryLogStore
  /// A copy, which costs who writes next.
  private var kept: Kept { store.read { $0 } }

  init(_ store: MemoryLogStore) { self.store = store }

  var path: String { "memory" }
  func logID() -> Int64 { kept.id }
  var another: @Sendable () throws -> any LogSource { { [store] in MemoryLogSource(store) } }
  func close() {}
  func isDamage(_ error: any Error) -> Bool { false }

  func blocks(after seq: Int64, through last: Int64, bytes limit: Int) -> [LogBlock] {
    store.read { kept in
      var (found, bytes): ([LogBlock], Int) = ([], 0)
      for block in kept.blocks[kept.place(after: seq)...] {
        if block.first > last || bytes >= limit && !found.isEmpty { break }
        bytes += block.bytes?.count ?? 0
        found.append(block)
      }
      return found
    }
  }

  func visitHeads(after seq: Int64, _ body: (_ head: LogBlock, _ size: Int) throws -> Bool) throws {
    for var block in store.read({ $0.blocks }) where block.last > seq {
      let size = block.bytes?.count ?? 0
      block.bytes = nil
      if try !body(block, size) { return }
    }
  }

  func end() -> LogPosition { store.read { $0.end } }
  func firstSeq() -> Int64 { store.read { $0.blocks.first?.first ?? 0 } }
  func cut() -> LogPosition? { kept.cut }
  func changeCount() -> Int64 { store.read { $0.changes } }
  func epochs() -> [LogEpoch] { kept.epochs }

  func room() -> LogRoom {
    let kept = kept
    let parts = kept.parts.values.flatMap(\.values).reduce(0) { $0 + $1.bytes.count }
    return LogRoom(used: kept.blocks.reduce(parts) { $0 + ($1.bytes?.count ?? 0) }, free: 0)
  }

  func checkpoints() -> [KeptCheckpoint] {
    kept.checkpoints.map(\.head).sorted { ($0.last, $0.id) > ($1.last, $1.id) }
  }

  func newCheckpointID() -> Int64 {
    let kept = kept
    return max(kept.checkpoints.map(\.head.id).max() ?? 0, kept.parts.keys.max() ?? 0) + 1
  }

  func rest(ofCheckpoint id: Int64) -> (fold: [UInt8], digests: [UInt8])? {
    kept.checkpoints.first { $0.head.id == id }.map { ($0.fold, $0.digests) }
  }

  func visitParts(
    ofCheckpoint id: Int64,
    _ body: (_ number: Int64, _ checksum: Int64, _ bytes: UnsafeRawBufferPointer?) throws -> Void
  ) throws {
    for (number, part) in (kept.parts[id] ?? [:]).sorted(by: { $0.key < $1.key }) {
      try part.bytes.withUnsafeBytes { try body(number, part.checksum, $0) }
    }
  }

  func parts(ofCheckpoint id: Int64) -> (count: Int, bytes: Int) {
    let parts = kept.parts[id] ?? [:]
    return (parts.count, parts.values.reduce(0) { $0 + $1.bytes.count })
  }

  func visitAccepted(_ body: (EventID, Int64, UnsafeRawBufferPointer) throws -> Void) throws {
    for (id, event) in kept.accepted.sorted(by: { $0.key < $1.key }) {
      try event.withUnsafeBytes { try body(id, LogBlock.checksum($0), $0) }
    }
  }

  func deadMarks() -> [Int64: DeadMark] { kept.marks }
  func schedule(_ name: String) -> (rule: String, since: Int64)? { kept.schedules[name] }
  func confirmed(receiver: String) -> Int64? { kept.confirmed[receiver] }

  func visitSessions(_ body: (String, Int64, UnsafeRawBufferPointer) throws -> Void) throws {
    for (id, state) in kept.sessions.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
      try state.withUnsafeBytes { try body(id, LogBlock.checksum($0), $0) }
    }
  }

  func scriptTrees() -> [KeptScriptTree] { kept.trees.map(\.tree) }
  func newestTree() -> ScriptTree.Identity? { kept.trees.last?.tree.identity }

  func tree(_ number: Int) -> (identity: ScriptTree.Identity, files: [String: [UInt8]])? {
    kept.trees.first { $0.tree.identity.number == number }.map { ($0.tree.identity, $0.files) }
  }

  func waitingScripts() -> [ScriptReload.Waiting] { kept.waiting }

  func visitKeyParts(
    _ body: (_ number: Int64, _ through: Int64, _ checksum: Int64, _ entries: UnsafeRawBufferPointer) throws
      ->
      Void
  ) throws {
    for (number, part) in kept.keyParts.sorted(by: { $0.key < $1.key }) {
      try part.entries.withUnsafeBytes { try body(number, part.through, LogBlock.checksum($0), $0) }
    }
  }

  func keyRows(ofPart number: Int64) -> (checksum: Int64, rows: [UInt8])? {
    kept.keyParts[number].map { part in (part.rows.withUnsafeBytes { LogBlock.checksum($0) }, part.rows) }
  }

  func newestKeyPart() -> (next: Int64, through: Int64) {
    guard let newest = kept.keyParts.max(by: { $0.key < $1.key }) else { return (1, 0) }
    return (newest.key + 1, newest.value.through)
  }
}
