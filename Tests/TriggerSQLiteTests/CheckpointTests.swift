import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite

/// A checkpoint that is taken while commits go on, and the records after it, are the whole log.
@Suite(.serialized) struct CheckpointTests {
  /// Every kind of intent on a few keys of three stores, so that parts of a checkpoint and records after it
  /// overlap in every way; failures, emissions and deferred operations among them.
  private static let scripts = [
    "any.lua": """
    return { on = { event = "any" }, retry = { attempts = 2, backoff = "1ms" }, execute = function(event, ctx)
      local intents = {}
      for _, step in ipairs(event.steps) do
        local store = ctx:store(step.store)
        local kind = step.kind
        if kind == "put" then intents[#intents + 1] = store:put(step.key, { n = step.n })
        elseif kind == "delete" then intents[#intents + 1] = store:put(step.key, nil)
        elseif kind == "add" then intents[#intents + 1] = ctx:store("sums"):add(step.key, step.n)
        elseif kind == "append" then intents[#intents + 1] = ctx:store("lists"):append(step.key, step.n % 10)
        elseif kind == "emit" then intents[#intents + 1] = ctx:emit("echo", { n = step.n, key = step.key })
        elseif kind == "replace" then
          local seq, data = store:read_snapshot()
          data[step.key] = { n = step.n }
          data["gone" .. step.n % 3] = nil
          intents[#intents + 1] = store:prepare_commit(seq, data)
        elseif kind == "fail" then error("fails " .. step.n) end
      end
      return intents
    end }
    """,
    "echo.lua": """
    return { on = { event = "echo" }, priority = "low", execute = function(event, ctx)
      return { ctx:store("echoes"):put(event.key, event.n) }
    end }
    """,
  ]

  private func randomEvent(_ random: inout SplitMix64) -> Event {
    let kinds = ["put", "put", "delete", "add", "append", "emit", "replace", "fail"]
    let steps = (0..<Int.random(in: 1...4, using: &random)).map { _ -> Value in
      let kind = kinds[Int.random(in: 0..<(Bool.random(using: &random) ? 5 : kinds.count), using: &random)]
      let key = (Bool.random(using: &random) ? "k" : "gone") + "\(Int.random(in: 0..<12, using: &random))"
      return [
        "kind": .string(kind), "store": .string(Bool.random(using: &random) ? "a" : "b"), "key": .string(key),
        "n": .int(Int64.random(in: 0..<1000, using: &random)),
      ]
    }
    return Event("any", ["steps": .array(steps)], source: UInt64.random(in: 0..<6, using: &random))
  }

  @Test func checkpointAndRestAreTheWholeLog() async throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    for round in 0..<4 {
      let host = try DataHost(path, scripts: Self.scripts)
      let checkpointer = try Checkpointer(host.log, host.coordinator, recovery: host.recovery)
      // Checkpoints one after another, while events come in.
      async let checkpoints: Void = Self.take(5, checkpointer)
      for _ in 0..<300 { try await host.queue.enqueue(randomEvent(&random)) }
      try await checkpoints
      if round == 3 { await host.queue.waitUntilIdle() }
      host.close()
      try compare(path, "seed \(seed), round \(round)")
    }
  }

  private static func take(_ count: Int, _ checkpointer: Checkpointer) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      Thread {
        continuation.resume(with: Result { for _ in 0..<count { try checkpointer.checkpoint() } })
      }.start()
    }
  }

  /// Keys that nobody touches, and hundreds that come and go beside them while checkpoints are taken: a host that
  /// starts from any of them has at its seq what the records alone give.
  @Test func everyCheckpointIsTheStateAtItsSeq() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let script = """
      return { on = { event = "set" }, timeout = "1m", execute = function(event, ctx)
        local intents = {}
        for i = 1, event.count do
          intents[i] = ctx:store("s"):put(event.prefix .. "/" .. i, event.value and event.value + i)
        end
        return intents
      end }
      """
    @Sendable func event(_ prefix: String, _ count: Int64, _ value: Value?) -> Event {
      var payload: Value.Map = ["prefix": .string(prefix), "count": .int(count)]
      payload["value"] = value
      return Event("set", .map(payload))
    }
    let host = try DataHost(path, scripts: ["set.lua": script])
    let checkpointer = try Checkpointer(host.log, host.coordinator, recovery: host.recovery)
    _ = try await host.queue.perform(event("z", 24, 1))
    let queue = host.queue
    async let writes: Void = {
      for round in 0..<120 {
        try await queue.enqueue(event("y/\(round)", 100, 1))
        if round % 3 == 0 { try await queue.enqueue(event("y/\(round / 2)", 100, nil)) }
      }
    }()
    for _ in 0..<8 {
      try await Self.take(1, checkpointer)
      let reader = try LogReader(path: path)
      let last = try reader.checkpoints().map(\.last).max() ?? 0
      let (short, whole) = (CommitCoordinator(), CommitCoordinator())
      _ = try short.recover { recovery in
        try reader.replay(into: recovery, to: last) { try recovery.apply($0) }
      }
      _ = try whole.recover { recovery in
        try reader.visitViews(from: 1, to: last) { try recovery.apply($0) }
      }
      let (left, right) = (try short.store("s").readSnapshot(), try whole.store("s").readSnapshot())
      #expect(left.value.keys.filter { $0.hasPrefix("z/") }.count == 24, "at seq \(last)")
      #expect(left.value == right.value && left.seq == right.seq, "at seq \(last)")
    }
    try await writes
    host.close()
  }

  /// From the newest checkpoint, and from the first record.
  private func compare(_ path: String, _ place: Comment) throws {
    let reader = try LogReader(path: path)
    let (short, whole) = (CommitCoordinator(), CommitCoordinator())
    let fromCheckpoint = try short.recover { try reader.recover($0) }
    let fromStart = try whole.recover { recovery in
      try reader.visitViews { try recovery.apply($0) }
      try reader.visitInbox { recovery.accept($0) }
    }
    #expect(fromCheckpoint.lastSeq == fromStart.lastSeq, place)
    #expect(fromCheckpoint.fold == fromStart.fold, place)
    for name in whole.storeNames {
      let (left, right) = (
        try short.store(name).readSnapshot(), try whole.store(name).readSnapshot()
      )
      #expect(left.value == right.value, "\(place): store \(name)")
      #expect(left.seq == right.seq, "\(place): store \(name)")
    }
    // And what a checkpoint keeps of the rest comes back as it was.
    let fold = fromStart.fold
    #expect(try fold.encoded.withUnsafeBytes { try LogFold(decoding: $0) } == fold, place)
  }

  /// Since when scripts are in force a record says, and once that may go, a note of the checkpoint that has it.
  @Test func aCheckpointNotesWhatRecordsPutInForce() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let host = try DataHost(path)
    try await host.send(1...20)
    var tree = ScriptTree(
      files: DataHost.scripts.merging(["more.lua": "return { execute = function() end }"]) { $1 }
        .mapValues { Array($0.utf8) })
    tree.identity = try host.log.withDirectory { try $0.keep(tree.files, now: 2, seed: 3) }
    let seq = try await host.queue.replaceScripts(with: tree, event: [:]).seq
    let source = try SQLiteLogSource(path: path)
    #expect(try source.scriptTrees().last?.seq == nil)
    #expect(try LogReader(source).scriptTrees().last?.seq == seq)
    let checkpointer = try Checkpointer(host.log, host.coordinator, recovery: host.recovery)
    try checkpointer.checkpoint()
    #expect(try source.scriptTrees().map(\.seq) == [nil, seq])
    try host.log.perform([.dropBlocks(through: seq)])
    #expect(try LogReader(source).scriptTrees().map(\.seq) == [nil, seq])
    checkpointer.close()
    host.close()
  }

  /// Events that wait may be more than SQLite takes in one value.
  @Test func aLargeFoldIsInPieces() throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let host = try DataHost(path)
    let database = host.log.directory.database
    for count in [0, 9, 10, 11, 95] {
      let fold = (0..<count).map { UInt8($0) }
      for job in KeptCheckpoint.furtherPieces(ofFold: fold, checkpoint: 7, size: 10) {
        try host.log.perform([job])
      }
      host.log.flush()
      let whole = try fold.prefix(10).withUnsafeBytes { try FoldParts.whole($0, of: 7, in: database) }
      #expect(whole == fold)
      // With its checkpoint they go.
      try database.run(
        "INSERT INTO checkpoints (id, since, last, time, checksum, fold) VALUES (7, 0, 0, 0, 0, x'00')")
      try database.run("DELETE FROM checkpoints WHERE id = 7")
      #expect(try database.integer("SELECT count(*) FROM fold_parts") == 0)
    }
    host.close()
  }

  @Test func executionRecordsAreThereAgain() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let first = try DataHost(path)
    try await first.send(1...14)
    await first.queue.waitUntilIdle()
    try Checkpointer(first.log, first.coordinator, recovery: first.recovery).checkpoint()
    try await first.send(15...20)
    await first.queue.waitUntilIdle()
    let before = (1...first.coordinator.stats.currentSeq).map { first.coordinator.executionRecord(for: $0) }
    first.close()
    let second = try DataHost(path)
    for record in before {
      let record = try #require(record)
      let again = try #require(second.coordinator.executionRecord(for: record.seq))
      #expect(again.trigger == record.trigger && again.state == record.state && again.error == record.error)
    }
    second.close()
  }

  @Test func unfinishedCheckpointsAreForgotten() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let first = try DataHost(path)
    try await first.send(1...20)
    await first.queue.waitUntilIdle()
    let before = try first.contents()
    first.close()
    try Database(path: path + "/log.sqlite").run("INSERT INTO chunks VALUES (7, 0, 0, x'00', 0)")
    let second = try DataHost(path)
    #expect(try second.contents() == before)
    second.close()
    var chunks: Int64 = -1
    try Database(path: path + "/log.sqlite").run("SELECT count(*) FROM chunks") { chunks = $0.int(0) }
    #expect(chunks == 0)
  }

  @Test func retentionKeepsWhatACheckpointNeeds() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    var before: [String: Value.Map] = [:]
    for run in 0..<4 {
      let host = try DataHost(path)
      let checkpointer = try Checkpointer(
        host.log, host.coordinator, recovery: host.recovery, retention: LogRetention(bytes: 10_000))
      try await host.send(run * 100 + 1...run * 100 + 100)
      await host.queue.waitUntilIdle()
      try checkpointer.checkpoint()
      before = try host.contents()
      host.close()
    }
    let reader = try LogReader(path: path)
    #expect(try reader.firstSeq() > 100)
    let host = try DataHost(path)
    #expect(try host.contents() == before)
    host.close()
    // Older states are not kept, and asking for one says so.
    let error = #expect(throws: LogError.self) {
      try CommitCoordinator().recover { recovery in
        try reader.replay(into: recovery, to: 10) { try recovery.apply($0) }
      }
    }
    #expect(error?.description.contains("is not kept any more (log.retain)") == true, "\(error!)")
  }

  /// The seq of a store's last change survives when that change left no key: whole-store reads see it.
  @Test func theLastChangeOfAStoreIsKept() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let script = """
      return { on = { event = "e" }, execute = function(event, ctx)
        local intents = {}
        for _, key in ipairs(event.put) do intents[#intents + 1] = ctx:store("s"):put(key, 1) end
        for _, key in ipairs(event.delete) do intents[#intents + 1] = ctx:store("s"):put(key, nil) end
        intents[#intents + 1] = ctx:store("other"):add("n", 1)
        return intents
      end }
      """
    func event(put: [Value] = [], delete: [Value] = []) -> Event {
      Event("e", ["put": .array(put), "delete": .array(delete)])
    }
    var host = try DataHost(path, scripts: ["e.lua": script])
    for _ in 0..<2 {
      _ = try await host.queue.perform(event(put: ["a", "b"]))
      // Once with a key that stays, once with none.
      let last = try await host.queue.perform(event(delete: ["a"]))[0].seq
      _ = try await host.queue.perform(event())
      try Checkpointer(host.log, host.coordinator, recovery: host.recovery).checkpoint()
      host.close()
      host = try DataHost(path, scripts: ["e.lua": script])
      #expect(try host.coordinator.store("s").readSnapshot().seq == last)
      // And with commits after it.
      _ = try await host.queue.perform(event())
      #expect(try host.coordinator.store("s").readSnapshot().seq == last)
      _ = try await host.queue.perform(event(delete: ["b"]))
    }
    let empty = try host.coordinator.store("s").readSnapshot()
    #expect(empty.value.isEmpty)
    try Checkpointer(host.log, host.coordinator, recovery: host.recovery).checkpoint()
    host.close()
    host = try DataHost(path, scripts: ["e.lua": script])
    #expect(try host.coordinator.store("s").readSnapshot().seq == empty.seq)
    host.close()
  }
}
