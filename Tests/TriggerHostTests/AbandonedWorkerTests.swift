import Dispatch
import Synchronization
import Testing
import TriggerCore
import TriggerLua

@testable import TriggerHost

/// Blocks whoever is the first to come, until let go.
final class Trap: Sendable {
  private let isSet = Atomic<Bool>(true)
  private let gate = DispatchSemaphore(value: 0)
  private let (steps, step) = AsyncStream.makeStream(of: Void.self)
  /// The thread that is in, or was: any worker may take an event, one of the reserve as well.
  let thread = Atomic<Int32>(0)
  func enter() {
    guard isSet.exchange(false, ordering: .acquiringAndReleasing) else { return }
    thread.store(thisThread(), ordering: .relaxed)
    step.yield()
    gate.wait()
    step.yield()
  }
  /// Waits until somebody is in, or out again.
  func next() async { for await _ in steps { return } }
  func letGo() async {
    gate.signal()
    await next()
  }
}

/// A worker that does not come back from C: that needs a defect of ours, so the test makes one, by blocking a
/// worker in the middle of a read.
@Suite struct AbandonedWorkerTests {
  private func engine(_ trap: Trap) -> (CommitCoordinator, TriggerQueue) {
    var configuration = EngineConfiguration(workers: 1)
    configuration.abandonAfter = .milliseconds(2)
    configuration.interruption = { trap.enter() }
    configuration.commitsPerReclaim = 1
    let coordinator = CommitCoordinator(configuration)
    let queue = TriggerQueue(coordinator)
    queue.bind(
      [],
      scripts: ScriptTree(files: [
        // However long the machine holds them up, the others are in time.
        "count.lua": Array(Self.script("go", timeout: "100s").utf8),
        "stuck.lua": Array(Self.script("first", timeout: "1ms").utf8),
      ]))
    return (coordinator, queue)
  }

  private static func script(_ event: String, timeout: String) -> String {
    """
    return { on = { event = "\(event)" }, timeout = "\(timeout)", execute = function(event, ctx)
      local s = ctx:store("s")
      return { s:put("n", (s:get("n") or 0) + 1) }
    end }
    """
  }

  @Test func aStuckWorkerIsReplaced() async throws {
    let trap = Trap()
    let (coordinator, queue) = engine(trap)
    queue.start()
    let first = try await queue.perform(Event("first"))
    #expect(first.map(\.outcome) == [.failed])
    #expect(first[0].error?.contains("stuck in C") == true)
    for _ in 1...20 { #expect(try await queue.perform(Event("go")).map(\.outcome) == [.committed]) }
    await trap.next()
    #expect(coordinator.stats.abandoned == 1)
    // What it would have read is kept for it until its thread ends; what it returns then counts nothing.
    #expect(queue.engine.withState { $0.stuck.attempts.count } == 1)
    await trap.letGo()
    for _ in 1...20 { _ = try await queue.perform(Event("go")) }
    #expect(try coordinator.store("s").get("n") == 40)
    await queue.stop()
  }

  /// The host ends all the same.
  @Test func aStuckWorkerDoesNotHoldUpTheEnd() async throws {
    let trap = Trap()
    let (coordinator, queue) = engine(trap)
    queue.start()
    #expect(try queue.offer(Event("first")) == 1)
    await trap.next()
    await queue.stop()
    #expect(coordinator.stats.abandoned == 1)
    await trap.letGo()
  }
}
