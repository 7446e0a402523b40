import TriggerCore
import TriggerHost

/// What every `LogStore` keeps, checked against one: call it from a test of the store.
package struct LogStoreContract {
  /// A rule that the store broke.
  package struct Violation: Error, CustomStringConvertible {
    /// Which rule, and what was seen instead.
    package let description: String
  }

  private let open: () throws -> any LogStore

  /// Runs the contract.
  ///
  /// - Parameter open: gives the store of one log, which is new; called again it gives another store of the same log, as
  ///   another process would have it.
  /// - Throws: the first `Violation`, or what the store throws.
  package static func check(_ open: @escaping () throws -> any LogStore) throws {
    let contract = LogStoreContract(open: open)
    var log = try Written(open())
    try contract.beginsEmpty(log)
    try contract.appendsDensely(&log)
    try contract.readsFromAnyPosition(log)
    try contract.keepsAcceptedEvents(&log)
    try contract.writesAllOrNothing(&log)
    try contract.keepsCheckpoints(&log)
    try contract.keepsNotes(&log)
    try contract.keepsKeys(&log)
    try contract.letsGo(&log)
    try contract.fencesOlderEpochs(&log)
  }

  /// A store, and what was written to it.
  private struct Written {
    let store: any LogStore
    let source: any LogSource
    var epoch: Int64 = 0
    var records: [Int64: [UInt8]] = [:]
    var last: Int64 = 0

    init(_ store: any LogStore) throws {
      self.store = store
      source = try store.openSource()
    }

    func write(_ group: LogGroup) throws(LogFailure) { try store.write(group, epoch: epoch) }
    func write(_ jobs: LogJob...) throws(LogFailure) { try store.write(LogGroup(jobs: jobs), epoch: epoch) }

    /// A group of the next so many seqs.
    func group(_ count: Int64, settling events: [EventID] = [], of bytes: Int = 7) -> LogGroup {
      var group = LogGroup()
      group.time = last &* 1000
      for seq in last + 1...last + count {
        let record = LogStoreContract.record(seq, bytes)
        // The second half is a content.
        let contents = [record.count / 2..<record.count]
        record.withUnsafeBytes { group.append(seq: seq, $0, settling: events, contents: contents) }
      }
      return group
    }

    mutating func append(_ group: LogGroup, of bytes: Int = 7) throws {
      try write(group)
      for seq in group.first...group.last { records[seq] = LogStoreContract.record(seq, bytes) }
      last = group.last
    }
  }

  private static func record(_ seq: Int64, _ bytes: Int) -> [UInt8] {
    [UInt8](repeating: UInt8(truncatingIfNeeded: seq), count: bytes)
  }

  // MARK: Records

  private func beginsEmpty(_ log: Written) throws {
    try require(try log.source.end() == LogPosition(), "a new log ends before its first seq")
    try require(try log.source.firstSeq() == 0, "a new log has no first seq")
    try require(try log.source.blocks(after: 0, through: .max, bytes: 1).isEmpty, "a new log has no blocks")
    try require(try log.source.checkpoints().isEmpty, "a new log has no checkpoint")
    try require(try log.source.scriptTrees().isEmpty, "a new log has no script tree")
    let (id, again) = (try log.source.logID(), try log.source.another().logID())
    try require(id != 0 && id == again, "a log has an id, the same for every source")
  }

  private func appendsDensely(_ log: inout Written) throws {
    log.epoch = try log.store.beginEpoch(time: 1, seed: 2, versions: "contract")
    try require(log.epoch > 0, "epochs count from 1")
    try require(
      try log.source.epochs() == [LogEpoch(number: log.epoch, started: 1, versions: "contract")],
      "an epoch that has begun is in the log")
    let count = try log.source.changeCount()
    for size in [Int64(1), 3, 1, 40, 2] { try log.append(log.group(size)) }
    try require(try log.source.changeCount() != count, "the count of changes changes with a group")
    try require(try log.source.end().seq == log.last, "a log ends with the last seq of the last group")
    for first in [log.last, log.last + 2] {
      var group = LogGroup()
      [UInt8(1)].withUnsafeBytes { group.append(seq: first, $0) }
      try refuses("records from seq \(first) after seq \(log.last)") { try log.write(group) }
    }
    try require(try log.source.end().seq == log.last, "what is refused is not there")
    let before = try log.source.room()
    try log.append(log.group(1, of: 20_000), of: 20_000)
    let after = try log.source.room()
    // Half of it is a content that may be kept once.
    try require(after.used >= before.used + 10_000, "what a log takes grows by what is written")
    try require(after.free >= 0, "no less than nothing is free")
  }

  private func readsFromAnyPosition(_ log: Written) throws {
    for source in [log.source, try log.source.another(), try open().openSource()] {
      try require(try source.firstSeq() == 1, "a log begins with its first seq")
      for position in 0..<log.last {
        let blocks = try source.blocks(after: position, through: .max, bytes: .max)
        try require(
          blocks.first.map { $0.first <= position + 1 && position + 1 <= $0.last } == true,
          "the first block after seq \(position) has seq \(position + 1)")
        try check(blocks, through: log.last, log)
        try checkHeads(of: blocks, after: position, source)
        let some = try source.blocks(after: position, through: position + 1, bytes: 1)
        try require(some == [blocks[0]], "no more blocks than are asked for: after seq \(position) one")
      }
      try require(
        try source.blocks(after: log.last, through: .max, bytes: .max).isEmpty,
        "there is no block after the end")
    }
  }

  private func checkHeads(of blocks: [LogBlock], after position: Int64, _ source: any LogSource) throws {
    var (heads, sizes): ([LogBlock], [Int]) = ([], [])
    try source.visitHeads(after: position) { head, size in
      heads.append(head)
      sizes.append(size)
      return true
    }
    let expected = blocks.map { block in
      var head = block
      head.bytes = nil
      return head
    }
    try require(heads == expected, "heads are those of the blocks after seq \(position), without bytes")
    try require(
      zip(sizes, blocks).allSatisfy { $0 >= $1.bytes!.count / 2 }, "a head says what its block takes")
    var count = 0
    try source.visitHeads(after: position) { _, _ in
      count += 1
      return false
    }
    try require(count == 1, "no more heads are visited than somebody wants")
  }

  private func check(_ blocks: [LogBlock], through last: Int64, _ log: Written) throws {
    var next = blocks.first?.first ?? 1
    var end = next == 1 ? LogPosition() : nil
    for block in blocks {
      if let end, let problem = block.problem(after: end) {
        throw Violation(description: "blocks are one chain, of epochs that grow: seqs \(next)...: \(problem)")
      }
      try require(
        block.epoch > 0 && block.chain != 0, "a block has the epoch it was written under, and a chain")
      end = block.end
      try require(
        block.first == next && block.last >= block.first, "blocks are dense: seq \(next) comes next")
      let expected = (block.first...block.last).flatMap { log.records[$0] ?? [] }
      try require(block.bytes == expected, "a block has the bytes that were written: \(block.first)...")
      let checksum = expected.withUnsafeBytes { LogBlock.checksum($0) }
      try require(block.checksum == checksum, "a block has the checksum of all its bytes")
      try require(block.time == (block.first - 1) &* 1000, "a block has the time of its group")
      next = block.last + 1
    }
    try require(next == last + 1, "blocks go to the end of the log")
    try require(try log.source.end() == end, "a log ends where its last block ends: seq, chain and epoch")
  }

  /// A second writer takes over.
  private func fencesOlderEpochs(_ log: inout Written) throws {
    var other = try Written(open())
    // The first one goes on until the second has begun.
    try log.append(log.group(1))
    try log.store.look(epoch: log.epoch)
    other.epoch = try other.store.beginEpoch(time: 3, seed: 4, versions: "other")
    try require(other.epoch > log.epoch, "an epoch has a higher number than those before")
    try fences("an older epoch that has nothing to write learns it when it looks") {
      try log.store.look(epoch: log.epoch)
    }
    try other.store.look(epoch: other.epoch)
    (other.last, other.records) = (log.last, log.records)
    let event = LogStoreContract.event(99)
    var accepting = LogGroup()
    accepting.accept(event.id, event.encoded)
    let ids = try log.source.checkpoints().map(\.id)
    for group in [log.group(1), accepting, LogGroup(jobs: ids.map { .dropCheckpoint($0) })]
    where !group.isEmpty {
      try fences("an older epoch writes nothing") { try log.write(group) }
    }
    try other.append(other.group(2))
    try fences("an older epoch writes nothing, after records of the newer one either") {
      try log.write(log.group(1))
    }
    try require(try log.source.end().seq == other.last, "what is fenced off is not there")
    try require(try accepted(log).isEmpty, "what is fenced off is not there: an accepted event")
    try require(try log.source.checkpoints().map(\.id) == ids, "what is fenced off is not done")
    try require(
      try log.source.epochs().map(\.number) == [log.epoch, other.epoch], "each epoch is in the log")
    let blocks = try other.source.blocks(after: 0, through: .max, bytes: .max)
    try require(blocks.last?.epoch == other.epoch, "a block has the epoch it was written under")
    try check(blocks, through: other.last, other)
  }

  // MARK: Accepted events

  private static func event(_ number: Int64) -> AcceptedEvent {
    AcceptedEvent(
      id: EventID(epoch: 1, number: number), kind: .event, name: "e",
      payload: CanonicalEncoding.encode(.int(number)),
      admitted: number, triggers: ["t"])
  }

  private func accepted(_ log: Written) throws -> [AcceptedEvent] {
    var events: [AcceptedEvent] = []
    try LogReader(log.source).visitInbox { events.append($0) }
    return events
  }

  private func keepsAcceptedEvents(_ log: inout Written) throws {
    let events = [3, 1, 2].map { LogStoreContract.event($0) }
    var group = LogGroup()
    for event in events { group.accept(event.id, event.encoded) }
    try log.write(group)
    try require(
      try accepted(log).map(\.id.number) == [1, 2, 3], "accepted events are kept, in the order of their ids")
    try require(try accepted(log).first == events[1], "an accepted event is what was accepted")
    try log.append(log.group(1, settling: [events[1].id]))
    try require(try accepted(log).map(\.id.number) == [2, 3], "a record settles its events, and no others")
    // Accepted and decided before it was written.
    group = LogGroup()
    let quick = LogStoreContract.event(4)
    group.accept(quick.id, quick.encoded)
    let record = LogStoreContract.record(log.last + 1, 7)
    group.time = log.last &* 1000
    record.withUnsafeBytes { group.append(seq: log.last + 1, $0, settling: [quick.id, events[2].id]) }
    try log.append(group)
    try require(try accepted(log).map(\.id.number) == [3], "a record settles an event of its own group")
    try log.append(log.group(1, settling: [events[0].id]))
    try require(try accepted(log).isEmpty, "a settled event is not kept")
  }

  /// Records, an event and a tree, and with them a mark that is there already.
  private func writesAllOrNothing(_ log: inout Written) throws {
    try log.write(.mark(seq: 1, .dropped, time: 1))
    var group = log.group(2)
    let event = LogStoreContract.event(5)
    group.accept(event.id, event.encoded)
    let tree = ScriptTree.Identity(number: 1, time: 1, seed: 1)
    group.jobs = [
      .tree(tree, changed: ["a.lua": [1]], removed: [], seq: 0), .mark(seq: 1, .requeued, time: 2),
    ]
    try refuses("a second mark of a seq") { try log.write(group) }
    try require(try log.source.end().seq == log.last, "of a group that is refused no record is there")
    try require(try accepted(log).isEmpty, "of a group that is refused no accepted event is there")
    try require(try log.source.scriptTrees().isEmpty, "of a group that is refused no script tree is there")
    try require(try log.source.deadMarks() == [1: .dropped], "a mark stays what it was")
    group.jobs.removeLast()
    try log.append(group)
    try require(try accepted(log) == [event], "a group is there wholly: an accepted event")
    try require(try log.source.newestTree() == tree, "a group is there wholly: a script tree")
    try log.append(log.group(1, settling: [event.id]))
  }

  // MARK: Checkpoints

  private func keepsCheckpoints(_ log: inout Written) throws {
    var heads: [KeptCheckpoint] = []
    for last in [log.last - 1, log.last] {
      let id = try log.source.newCheckpointID()
      try require(!heads.map(\.id).contains(id), "a new checkpoint has a new number")
      let parts = (0..<3).map { StorePart(bytes: [UInt8](repeating: $0, count: 600), contents: [100..<500]) }
      for (number, part) in parts.enumerated() {
        try log.write(.part(part, checksum: Int64(number) + 40, number: Int64(number), checkpoint: id))
      }
      try log.write(.foldPiece([4, 5], number: 0, checkpoint: id))
      try log.write(.foldPiece([6], number: 1, checkpoint: id))
      try require(try log.source.checkpoints() == heads, "a checkpoint is none before its end")
      let head = KeptCheckpoint(
        id: id, since: last - 1, last: last, time: 5, checksum: 6, parts: 3, bytes: 1800, seal: 7)
      try log.write(.checkpoint(head, fold: [1, 2, 3], digests: [9]))
      heads.insert(head, at: 0)
      try require(try log.source.checkpoints() == heads, "checkpoints are what was written, newest first")
      let rest = try log.source.rest(ofCheckpoint: id)
      try require(rest?.fold == [1, 2, 3, 4, 5, 6], "a checkpoint has the pieces of its fold in order")
      try require(rest?.digests == [9], "a checkpoint has its digests")
      var found: [StorePart] = []
      try log.source.visitParts(ofCheckpoint: id) { number, checksum, bytes in
        try require(checksum == number + 40, "a part has its checksum")
        found.append(StorePart(bytes: Array(bytes!), contents: [100..<500]))
      }
      try require(found.map(\.bytes) == parts.map(\.bytes), "a checkpoint has its parts in order")
      let size = try log.source.parts(ofCheckpoint: id)
      try require(
        size.count == 3 && size.bytes >= 600, "a checkpoint says how many parts it has, and their size")
    }
    try require(try log.source.rest(ofCheckpoint: 1 << 40) == nil, "there is no checkpoint that nobody wrote")
  }

  // MARK: Notes, keys

  private func keepsNotes(_ log: inout Written) throws {
    let second = ScriptTree.Identity(number: 2, time: 7, seed: .max)
    try log.write(.tree(second, changed: ["b.lua": [2]], removed: ["a.lua"], seq: 0))
    try require(try log.source.tree(1)?.files == ["a.lua": [1]], "a tree keeps the files that it had")
    try require(
      try log.source.tree(2)?.files == ["b.lua": [2]], "a tree has what it changed, without what went")
    try require(try log.source.tree(2)?.identity == second, "a tree keeps its identity")
    try require(try log.source.tree(3) == nil, "there is no tree that nobody wrote")
    try require(
      try log.source.scriptTrees().last
        == KeptScriptTree(identity: second, seq: nil, changed: ["b.lua"], removed: ["a.lua"]),
      "a tree says what it changed")
    for seq in [Int64(8), 9] { try log.write(.treeInForce(number: 2, seq: seq)) }
    try require(try log.source.scriptTrees().last?.seq == 8, "the first seq of a tree is noted once")

    for since in [Int64(10), 20] { try log.write(.schedule(name: "s", rule: "r\(since)", since: since)) }
    let known = try log.source.schedule("s")
    try require(known?.rule == "r20" && known?.since == 20, "a schedule has its newest note")
    try require(try log.source.schedule("t") == nil, "a schedule that nobody noted is not known")

    for seq in [Int64(7), 6] { try log.write(.confirmed(receiver: "r", seq: seq)) }
    try require(try log.source.confirmed(receiver: "r") == 6, "a receiver is where it said last that it is")
    try require(try log.source.confirmed(receiver: "q") == nil, "a receiver that said nothing is nowhere")

    try keepsSessions(&log)
    let file = ScriptReload.Waiting(path: "c.lua", burst: 1, content: FileContent.ID(size: 3, hash: .max))
    let gone = ScriptReload.Waiting(path: "d.lua", burst: 1, content: nil)
    try log.write(.waiting([gone, file]))
    try require(
      try log.source.waitingScripts() == [file, gone], "files that wait, in the order of their paths")
    try log.write(.waiting([gone]))
    try require(try log.source.waitingScripts() == [gone], "files that wait are those said last")
    try log.write(.mark(seq: 2, .requeued, time: 3))
    try require(try log.source.deadMarks() == [1: .dropped, 2: .requeued], "marks are kept")
  }

  private func keepsSessions(_ log: inout Written) throws {
    let rows = ["b", "é", "a"].map { SessionRow(id: $0, state: [UInt8]("1\($0)".utf8)) }
    try log.write(.sessions(changed: rows, removed: []))
    try log.write(.sessions(changed: [SessionRow(id: "b", state: [])], removed: ["a", "none"]))
    var found: [SessionRow] = []
    try log.source.visitSessions { id, checksum, state in
      try require(checksum == LogBlock.checksum(state), "a session has the checksum of its state")
      found.append(SessionRow(id: id, state: Array(state)))
    }
    try require(
      found == [SessionRow(id: "b", state: []), rows[1]],
      "sessions are those that were not removed, as they were said last, in byte order of their ids")
  }

  /// A row as it is kept: scope, key, digest, admission, id, no failed seq, no results.
  private static func keyRow(_ number: UInt8) throws -> KeyRow {
    let bytes: [UInt8] = [0x88, 0x61, 0x73, 0x62, 0x6b, 0x30 + number, 1, number, 1, number, 0xf6, 0x80]
    return try bytes.withUnsafeBytes { try KeyPart.rows($0) }[0]
  }

  private func keepsKeys(_ log: inout Written) throws {
    try require(try log.source.newestKeyPart() == (1, 0), "without parts of keys the next is the first")
    let rows = try (1...3).map { try LogStoreContract.keyRow($0) }
    let parts = [KeyPart([rows[0], rows[1]]), KeyPart([rows[2]])]
    try log.write(.keyParts(parts, from: 1, through: 5, seed: 9))
    try require(try log.source.newestKeyPart() == (3, 5), "the newest part of keys says what comes next")
    var found: [Int64] = []
    try log.source.visitKeyParts { number, through, checksum, entries in
      found.append(number)
      let part = parts[Int(number) - 1]
      try require(part.entries(seed: 9).elementsEqual(entries), "a part of keys has its entries")
      try require(LogBlock.checksum(entries) == checksum && through == 5, "a part of keys says what it has")
      let kept = try log.source.keyRows(ofPart: number)
      try require(kept?.rows == part.encodedRows, "a part of keys has its rows")
      try require(
        kept?.checksum == part.encodedRows.withUnsafeBytes { LogBlock.checksum($0) }, "rows have a checksum")
    }
    try require(found == [1, 2], "parts of keys are in order")
  }

  // MARK: Retention

  private func letsGo(_ log: inout Written) throws {
    try log.write(.dropKeyParts([1]))
    try require(try log.source.keyRows(ofPart: 1) == nil, "a part of keys that is dropped is gone")
    try require(try log.source.newestKeyPart() == (3, 5), "numbers of parts go on")

    let oldest = try log.source.checkpoints().last!.id
    try log.write(.dropCheckpoint(oldest))
    try require(
      try !log.source.checkpoints().map(\.id).contains(oldest), "a checkpoint that is dropped is none")
    try require(
      try log.source.newCheckpointID() > oldest, "a dropped checkpoint's number is not given out again")
    for left in [1, 0] {
      try log.write(.dropParts(checkpoint: oldest, most: 2))
      var count = 0
      try log.source.visitParts(ofCheckpoint: oldest) { _, _, _ in count += 1 }
      try require(count == left, "no more parts are dropped than was said")
      try require(
        try log.source.parts(ofCheckpoint: oldest).count == left, "parts that are dropped do not count")
    }
    let newest = try log.source.checkpoints()[0].id
    try require(try log.source.rest(ofCheckpoint: newest) != nil, "another checkpoint stays")

    let blocks = try log.source.blocks(after: 0, through: .max, bytes: .max)
    let kept = blocks[3]
    try require(try log.source.cut() == nil, "where nothing was let go there is no cut")
    try log.write(.dropBlocks(through: kept.first + 1))
    try require(try log.source.firstSeq() == kept.first, "a block that ends later stays whole")
    try log.write(.shrink)
    let rest = try log.source.blocks(after: 0, through: .max, bytes: .max)
    try require(rest.first == kept, "from a position that is gone reading begins with what there is")
    try log.write(.dropBlocks(through: 1))
    try require(
      try log.source.cut() == blocks[2].end, "the cut is where the last block ended that was let go")
    try check(rest, through: log.last, log)
  }

  // MARK: Rules

  private func require(_ holds: Bool, _ rule: String) throws {
    if !holds { throw Violation(description: rule) }
  }

  private func refuses(_ what: String, _ body: () throws -> Void) throws {
    do { try body() } catch LogFailure.refused { return } catch {
      throw Violation(description: "\(what): \(error)")
    }
    throw Violation(description: "\(what) is taken")
  }

  private func fences(_ rule: String, _ body: () throws -> Void) throws {
    do { try body() } catch LogFailure.fenced { return } catch {
      throw Violation(description: "\(rule): \(error)")
    }
    throw Violation(description: rule)
  }
}
