import TestSupport
import Testing
import TriggerCore
import TriggerLua

import TriggerHost

/// A trigger whose attempt cannot be ended runs no more until it is changed.
@Suite struct QuarantineTests {
  /// Gathers what a host would log.
  private final class Heard: Sendable {
    private let notices = Watched<[String]>([])
    func add(_ notice: StuckNotice) { notices.update { $0.append("\(notice)") } }
    func count(_ words: String) -> Int { notices.value.count { $0.contains(words) } }
    func wait(for words: String) async throws {
      try await notices.wait(for: words) { $0.contains { $0.contains(words) } }
    }
  }

  private static func script(_ event: String, _ more: String = "", step: Int = 1) -> String {
    """
    return { on = { event = "\(event)" }, timeout = "1ms", \(more) execute = function(event, ctx)
      local s = ctx:store("s")
      return { s:put("n", (s:get("n") or 0) + \(step)) }
    end }
    """
  }

  private static func tree(_ files: [String: String]) -> ScriptTree {
    ScriptTree(files: files.mapValues { Array($0.utf8) })
  }

  private static let files = [
    "stuck.lua": "require('lib.one')\n" + script("first", "retry = 3,"),
    "other.lua": script("other"), "lib/one.lua": "return {}", "lib/two.lua": "return {}",
  ]

  private func host(
    _ trap: Trap, log: MemoryCommitLog? = nil, mostStuck: Int = 2
  ) -> (CommitCoordinator, TriggerQueue, Heard) {
    var configuration = EngineConfiguration(workers: 1)
    configuration.abandonAfter = .milliseconds(2)
    configuration.interruption = { trap.enter() }
    configuration.mostStuck = mostStuck
    let coordinator = CommitCoordinator(configuration, log: log)
    let heard = Heard()
    coordinator.whenStuck { heard.add($0) }
    // Another one takes nobody's place.
    coordinator.whenStuck { _ in }
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: Self.tree(Self.files))
    queue.start()
    return (coordinator, queue, heard)
  }

  @Test func aStuckTriggerRunsAgainWhenItIsChanged() async throws {
    let (trap, log) = (Trap(), MemoryCommitLog())
    let (coordinator, queue, heard) = host(trap, log: log)
    defer { queue.stop() }
    let first = try await queue.perform(Event("first"))[0]
    #expect(first.outcome == .failed && first.error?.hasPrefix("stuck: stuck: ") == true)
    // A retry would only take its time, too.
    #expect(first.retryAt == nil)
    await trap.next()
    #expect(isLowestThread(trap.thread.load(ordering: .relaxed)))
    for _ in 1...3 {
      let next = try await queue.perform(Event("first"))[0]
      #expect(next.outcome == .failed && next.retryAt == nil)
      #expect(next.error?.hasPrefix("quarantined: stuck has not run since ") == true)
      #expect(next.error?.contains("when its seq \(first.identity) got stuck") == true)
    }
    #expect(coordinator.stats.stuck == 1 && coordinator.stats.abandoned == 1)
    let quarantine: Quarantine? = coordinator.stats.quarantined["stuck"]
    #expect(quarantine?.seq == first.identity && quarantine?.isScript == true)
    // Nobody runs these again: what they did is not what the script does.
    #expect(log.all.filter { $0.trigger == "stuck" }.map(\.isKilled) == [true, true, true, true])
    try await lift(queue, heard)
    await trap.letGo()
    try await wait(for: "the thread to end") { await coordinator.waitUntil { $0.stuck == 0 } }
  }

  private func lift(_ queue: TriggerQueue, _ heard: Heard) async throws {
    try await heard.wait(for: "quarantined: stuck has not run since")
    #expect(heard.count("quarantined: stuck has not run since") == 1)
    var files = Self.files
    // Neither of them is of it.
    files["other.lua"] = Self.script("other", step: 2)
    files["lib/two.lua"] = "return { 2 }"
    try await queue.replaceScripts(with: Self.tree(files))
    #expect(try await queue.perform(Event("other")).map(\.outcome) == [.committed])
    #expect(try await queue.perform(Event("first"))[0].error?.hasPrefix("quarantined: ") == true)
    files["lib/one.lua"] = "return { 1 }"
    try await queue.replaceScripts(with: Self.tree(files))
    try await heard.wait(for: "stuck has changed, and runs again")
    #expect(heard.count("stuck has changed, and runs again") == 1)
    #expect(try await queue.perform(Event("first")).map(\.outcome) == [.committed])
  }

  @Test func aSavedScriptLiftsIt() async throws {
    let trap = Trap()
    let (_, queue, _) = host(trap)
    defer { queue.stop() }
    _ = try await queue.perform(Event("first"))
    await trap.next()
    var files = Self.files
    files["stuck.lua"] = Self.script("first", step: 2)
    try await queue.replaceScripts(with: Self.tree(files))
    #expect(try await queue.perform(Event("first")).map(\.outcome) == [.committed])
    await trap.letGo()
  }

  @Test func aHostWithTooManyAsksToBeRestarted() async throws {
    let trap = Trap()
    let (coordinator, queue, heard) = host(trap, mostStuck: 0)
    defer { queue.stop() }
    let start = ContinuousClock.now
    #expect(coordinator.readiness.isReady)
    _ = try await queue.perform(Event("first"))
    await trap.next()
    #expect(
      coordinator.readiness.reasons.map { $0.contains("1 attempts are stuck and cannot be ended") } == [true])
    // The watchdog says so, once a minute and not at each of its looks.
    for _ in 1...100 { #expect(try await queue.perform(Event("other")).map(\.outcome) == [.committed]) }
    try await heard.wait(for: "start it again")
    let minutes = Int((ContinuousClock.now - start) / .seconds(60))
    #expect(heard.count("start it again") <= 1 + minutes)
    await trap.letGo()
    try await wait(for: "the thread to end") { await coordinator.waitUntil { $0.stuck == 0 } }
    #expect(coordinator.readiness.isReady)
  }

  /// Returns when the test says so.
  private final class Endless: Trigger {
    let name = "endless"
    private let (gate, open) = AsyncStream.makeStream(of: Void.self)
    func end() { open.finish() }
    func execute() async throws -> [CommitIntent] {
      for await _ in gate {}
      return []
    }
  }

  @Test func aSwiftTriggerThatDoesNotReturn() async throws {
    var configuration = EngineConfiguration(workers: 1)
    configuration.longestSwiftAttempt = .milliseconds(20)
    let coordinator = CommitCoordinator(configuration)
    let queue = TriggerQueue(coordinator)
    queue.start()
    defer { queue.stop() }
    let endless = Endless()
    let first = try await queue.perform(endless)
    #expect(
      first.outcome == .failed && first.error?.hasPrefix("stuck: endless has not returned for ") == true)
    let second = try await queue.perform(endless)
    #expect(second.error?.hasPrefix("quarantined: endless has not run since ") == true)
    #expect(coordinator.stats.stuck == 1)
    endless.end()
    try await wait(for: "its return") { await coordinator.waitUntil { $0.stuck == 0 } }
    #expect(coordinator.stats.failed == 2 && coordinator.stats.committed == 0)
  }
}
