import Foundation
import Testing
import TriggerCore
import TriggerHost
import TriggerReplay

import TriggerSQLite

/// A host on a data directory of its own, which goes with the test.
final class DataHost {
  static let scripts = [
    "count.lua": """
    return { on = { event = "n" }, execute = function(event, ctx)
      local store = ctx:store("counts")
      if event.n % 7 == 0 then error("seven " .. event.n) end
      return {
        store:put("sum", (store:get("sum") or 0) + event.n), store:add("total", 1),
        ctx:emit("echo", { n = event.n, r = math.random(1000), t = os.time() }),
      }
    end }
    """,
    "echo.lua": """
    return { on = { event = "echo" }, priority = "low", execute = function(event, ctx)
      local echoes = ctx:store("echoes")
      if echoes:get("k" .. event.n) then error("twice: " .. event.n) end
      return { echoes:put("k" .. event.n, event) }
    end }
    """,
    "watch.lua": """
    return { on = { commit = "counts/sum" }, execute = function(event, ctx)
      return { ctx:store("watch"):add("commits", #event.keys) }
    end }
    """,
  ]

  let coordinator: CommitCoordinator
  let queue: TriggerQueue
  let log: DurableLog
  let recovery: Recovery
  private let reader: LogReader

  init(
    _ path: String, workers: Int = 2, durability: Durability = .group,
    scripts: [String: String] = DataHost.scripts, clock: any EngineClock = SystemClock(),
    retention: LogRetention = LogRetention(),
    register: (CommitCoordinator) throws -> Void = { _ in },
    configure: (inout EngineConfiguration) -> Void = { _ in }
  ) throws {
    let directory = try DataDirectory(path: path, clock: clock)
    let epoch = try directory.beginEpoch(now: 1, seed: 0, versions: "test")
    let reader = try LogReader(path: path)
    self.reader = reader
    log = try DurableLog(
      directory, durability: durability, lastSeq: try reader.lastSeq(), retention: retention)
    var configuration = EngineConfiguration(workers: workers)
    configure(&configuration)
    coordinator = CommitCoordinator(configuration, clock: clock, log: log)
    try register(coordinator)
    recovery = try coordinator.recover(scripts: { try reader.scripts($0) }) { try reader.recover($0) }
    coordinator.open(epoch: epoch)
    queue = TriggerQueue(coordinator)
    var tree = ScriptTree(files: scripts.mapValues { Array($0.utf8) })
    #expect(tree.problems.isEmpty, "\(tree.problems)")
    tree.identity = try directory.keep(tree.files, now: 1, seed: 2)
    queue.bind([], scripts: tree)
    queue.start()
  }

  func send(_ numbers: ClosedRange<Int>) async throws {
    for n in numbers { try await queue.enqueue(Event("n", ["n": .int(Int64(n))], source: UInt64(n % 5))) }
  }

  func close() {
    queue.stop()
    reader.close()
    log.close()
  }

  func contents() throws -> [String: Value.Map] {
    try Dictionary(
      uniqueKeysWithValues: coordinator.storeNames.map {
        ($0, try coordinator.store($0).readSnapshot().value)
      })
  }
}

func temporaryDirectory() -> String {
  NSTemporaryDirectory() + "trigger-host-\(UUID().uuidString)"
}

func replayer(_ reader: LogReader) -> Replayer {
  Replayer { number in
    guard let (identity, files) = try reader.tree(number) else { return nil }
    var tree = ScriptTree(files: files)
    tree.identity = identity
    return tree
  }
}

/// Executes the whole log again, which gives what it says. The state at its end.
@discardableResult
func verified(_ reader: LogReader, _ body: (LogRecord) -> Void = { _ in }) throws -> Replayer {
  let replay = replayer(reader)
  try reader.visit { record in
    let difference = try replay.verify(record)
    #expect(difference == nil)
    body(record)
  }
  return replay
}

/// What verification finds in a data directory.
func damages(in path: String) throws -> [DirectoryDamage] {
  let source = try SQLiteLogSource(path: path)
  return LogVerification(LogReader(source), after: FileVerification(source).damages).damages
}
