import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

/// Attempts that must be ended, at the moments in which that is easily missed.
@Suite struct WatchdogTests {
  private func engine(_ script: String) -> (CommitCoordinator, TriggerQueue) {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: ScriptTree(files: ["s.lua": Array(script.utf8)]))
    return (coordinator, queue)
  }

  private static let endless = """
    return { on = { event = "x" }, timeout = "90s", execute = function() while true do end end }
    """

  ///     watchdog                  source                 worker
  ///     sees nothing, sleeps                             begins its loop, has not rested yet
  ///                               admits
  ///                               finds nobody to wake
  ///                                                      takes it: an attempt that nobody watches
  @Test(.timeLimit(.minutes(5))) func anAdmissionWakesTheWatchdogThoughNoWorkerRests() async throws {
    let (_, queue) = engine(Self.endless)
    let engine = queue.engine
    async let awake: Void = withCheckedContinuation { continuation in
      Thread.detach(name: "watchdog") {
        engine.sleepUntilAdmission(nanoseconds: 3_600_000_000_000)
        continuation.resume()
      }
    }
    try await poll(for: "its sleep") { engine.isWatchdogAsleep.load(ordering: .sequentiallyConsistent) }
    #expect(try queue.offer(Event("x")) == 1)
    await awake
  }

  ///     stop                      worker
  ///     nothing runs: asks none
  ///                               begins an attempt
  ///     waits for the thread
  @Test(.timeLimit(.minutes(5))) func whatBeginsWhileTheEngineStopsIsEnded() async throws {
    let (_, queue) = engine(Self.endless)
    queue.start()
    defer { queue.stop() }
    queue.engine.withState { $0.isStopping = true }
    #expect(try queue.offer(Event("x")) == 1)
    // Any of them may have come first.
    let workers = queue.engine.workers
    func isAsked() -> Bool { workers.contains { $0.endAsked.load(ordering: .relaxed) != 0 } }
    try await poll(for: "its end") { isAsked() && workers.allSatisfy { $0.running == 0 } }
  }
}
