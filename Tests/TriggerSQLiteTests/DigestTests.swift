import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost
import TriggerReplay

@testable import TriggerSQLite

/// What stores hold is kept with checkpoints and in the log, and whoever rebuilds them compares.
@Suite(.serialized) struct DigestTests {
  /// Puts, deletions, sums, lists and whole stores, of few keys.
  private static let scripts = [
    "any.lua": """
    return { on = { event = "any" }, execute = function(event, ctx)
      local store = ctx:store(event.store)
      local kinds = {
        put = function() return { store:put(event.key, { n = event.n, text = ("x"):rep(event.n % 90) }) } end,
        delete = function() return { store:put(event.key, nil) } end,
        add = function() return { ctx:store("sums"):add(event.key, event.n), ctx:store("sums"):max("top", event.n) } end,
        append = function() return { ctx:store("lists"):append(event.key, event.n), store:put(event.key, 1) } end,
        replace = function()
          local seq, data = store:read_snapshot()
          data[event.key] = event.n
          data["k1"] = nil
          return { store:prepare_commit(seq, data) }
        end,
        fail = function() error("fails") end,
      }
      return kinds[event.kind]()
    end }
    """
  ]

  private static func event(_ random: inout SplitMix64) -> Event {
    let kinds = ["put", "put", "put", "delete", "add", "append", "replace", "fail"]
    return Event(
      "any",
      [
        "kind": .string(kinds.randomElement(using: &random)!),
        "store": .string(["a", "b", "ä"].randomElement(using: &random)!),
        "key": .string("k\(Int.random(in: 0..<15, using: &random))"),
        "n": .int(Int64.random(in: 0..<1000, using: &random)),
      ], source: UInt64.random(in: 0..<6, using: &random))
  }

  private static func host(_ path: String) throws -> DataHost {
    try DataHost(path, scripts: scripts, configure: { $0.digestInterval = 8 })
  }

  /// By the formula, of what a scan gives.
  private func plain(_ state: Replayer) throws -> StateDigests {
    let names = state.storeNames.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    return StateDigests(
      seq: state.seq,
      stores: try names.map { name in
        var items: [PlainDigest.Item] = []
        try state.visit(name) { items.append((Array($0.utf8), CanonicalEncoding.encode($1), $2)) }
        return StateDigests.Store(name: name, digest: StoreDigest(bits: PlainDigest.of(items)))
      })
  }

  /// Whatever is committed: in the engine, in records and in checkpoints, over restarts.
  @Test func digestsAreThoseOfWhatIsThere() async throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    for round in 0..<4 {
      let place: Comment = "seed \(seed), round \(round)"
      let host = try Self.host(path)
      for _ in 0..<150 { try await host.queue.enqueue(Self.event(&random)) }
      await host.queue.waitUntilIdle()
      if round % 2 == 1 {
        try Checkpointer(host.log, host.coordinator, recovery: host.recovery).checkpoint()
      }
      let live = host.coordinator.digests()
      host.close()
      let reader = try LogReader(path: path)
      let replay = replayer(reader)
      var marks = 0
      try reader.visit { record in
        try replay.apply(record)
        let there = try plain(replay)
        for store in record.digests { #expect(there.stores.contains(store), "\(place), seq \(record.seq)") }
        if record.seq % 8 == 0 {
          marks += record.digests.count
        } else {
          #expect(record.digests.isEmpty, place)
        }
      }
      #expect(marks > 20, place)
      #expect(try plain(replay) == live, place)
      try SQLiteLogSource(path: path).database.run("SELECT last, digests FROM checkpoints") { row in
        let kept = try StateDigests(decoding: row.blob(1))
        let state = replayer(reader)
        try reader.visit(to: row.int(0)) { try state.apply($0) }
        #expect(try plain(state) == kept, place)
      }
    }
  }

  // MARK: What is not what it was

  /// A directory with commits, a checkpoint, and more commits, each of a key of its own.
  private func kept(_ path: String, _ random: inout SplitMix64) async throws {
    let host = try Self.host(path)
    for _ in 0..<100 { try await host.queue.enqueue(Self.event(&random)) }
    await host.queue.waitUntilIdle()
    try Checkpointer(host.log, host.coordinator, recovery: host.recovery).checkpoint()
    for n in 0..<60 {
      try await host.queue.enqueue(
        Event("any", ["kind": "put", "store": "b", "key": .string("own\(n)"), "n": 50]))
    }
    await host.queue.waitUntilIdle()
    host.close()
  }

  /// As a reader left it that came to the end of the order too early.
  @Test func keysThatACheckpointLacksAreMissed() async throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await kept(path, &random)
    var changed = ""
    try changeParts(of: path) { part in
      guard case .string(let name) = part[0], case .array(let items) = part[3], !items.isEmpty, changed == ""
      else { return }
      changed = name
      part[3] = .array(Array(items.dropLast(3)))
    }
    let wrong = "store '\(changed)' as of seq "
    let verified = try StateVerification(try LogReader(path: path))
    #expect(verified.damages.map { $0.place } == ["checkpoint 1"], "seed \(seed): \(verified.damages)")
    #expect(verified.damages.first?.what.hasPrefix(wrong) == true, "seed \(seed): \(verified.damages)")
    // The log has everything all the same.
    let reader = try LogReader(path: path)
    let coordinator = CommitCoordinator()
    try coordinator.recover { try reader.recover($0) }
    #expect(reader.damaged.first?.what.hasPrefix(wrong) == true, "seed \(seed): \(reader.damaged)")
    #expect(coordinator.digests() == verified.digests, "seed \(seed)")
    let state = replayer(reader)
    try reader.replay(into: state.recovery, to: .max) { try state.apply($0) }
    #expect(try plain(state) == verified.digests, "seed \(seed)")
    // Where it has not, nobody goes on with what is wrong.
    try Database(path: path + "/log.sqlite").run("DELETE FROM blocks WHERE first = 1")
    let refusal = #expect(throws: LogError.self, "seed \(seed)") {
      try CommitCoordinator().recover { try reader.recover($0) }
    }
    #expect(refusal?.description.contains(wrong) == true, "seed \(seed): \(refusal!)")
  }

  @Test func aValueThatIsAnotherIsMissed() async throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await kept(path, &random)
    var changed: Int64 = 0
    try changeRecords(of: path) { record in
      guard changed == 0, let intent = record.intents.first, intent.key.starts(with: "own".utf8) else {
        return
      }
      changed = record.seq
      record.intents[0].value[intent.value.count - 1] ^= 1
    }
    let seq = (changed + 7) / 8 * 8
    let reader = try LogReader(path: path)
    let damage = #expect(throws: StateDamage.self, "seed \(seed)") {
      let state = replayer(reader)
      try reader.visit { try state.apply($0) }
    }
    #expect(damage?.store == "b" && damage?.seq == seq, "seed \(seed): \(damage!)")
    let verified = try StateVerification(reader)
    #expect(
      verified.damages.map { $0.place } == ["the log"] && verified.digests == nil, "\(verified.damages)")
    let refusal = #expect(throws: LogError.self, "seed \(seed)") {
      try CommitCoordinator().recover { try reader.recover($0) }
    }
    #expect(refusal?.description.contains("store 'b' as of seq \(seq) is not") == true, "\(refusal!)")
  }

  /// Writes parts of checkpoints anew, with right checksums.
  private func changeParts(of path: String, _ body: (inout [Value]) -> Void) throws {
    let database = try Database(path: path + "/log.sqlite")
    var parts: [(row: Int64, bytes: [UInt8])] = []
    try database.run("SELECT rowid, data FROM chunks") { row in
      guard case .array(var part) = try CanonicalEncoding.decode(row.blob(1)) else { return }
      body(&part)
      parts.append((row.int(0), CanonicalEncoding.encode(.array(part))))
    }
    for part in parts {
      try part.bytes.withUnsafeBytes {
        try database.run(
          "UPDATE chunks SET data = ?, checksum = ? WHERE rowid = ?",
          [.blob($0), .int(LogBlock.checksum($0)), .int(part.row)])
      }
    }
    // As a fault of ours would: it seals what it writes.
    try database.run("UPDATE checkpoints SET seal = 0")
  }

  /// Writes blocks anew, with right checksums and chains: as a fault of ours would, before it reaches the log.
  private func changeRecords(of path: String, _ body: (inout LogRecord) -> Void) throws {
    let database = try Database(path: path + "/log.sqlite")
    var blocks = try LogReader(path: path).source.blocks(after: 0, through: .max, bytes: .max)
    var end = LogPosition()
    for place in blocks.indices {
      var bytes: [UInt8] = []
      try blocks[place].bytes!.withUnsafeBytes { old in
        try LogRecord.visit(in: old) { record in
          var record = record
          body(&record)
          bytes += record.encoded
        }
      }
      blocks[place].checksum = bytes.withUnsafeBytes { LogBlock.checksum($0) }
      blocks[place].chain = blocks[place].chain(after: end.chain)
      blocks[place].bytes = bytes
      end = blocks[place].end
    }
    for block in blocks {
      try block.bytes!.withUnsafeBytes {
        try database.run(
          "UPDATE blocks SET records = ?, checksum = ?, chain = ? WHERE first = ?",
          [.blob($0), .int(block.checksum), .int(block.chain), .int(block.first)])
      }
    }
  }
}
