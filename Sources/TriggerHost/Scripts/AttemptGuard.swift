import Glibc
import Synchronization
import TriggerCore
import TriggerLua

/// Ends attempts that are over their time: a thread that looks every two milliseconds. What the engine's
/// watchdog does, without an engine. Any thread.
package final class AttemptGuard: Sendable {
  /// One runner and the thread it belongs to.
  package final class Watched: @unchecked Sendable {
    // `lua` answers any thread; `attempt` and `begun` belong to the guard's thread.
    private let lua: LuaWorkerControl
    private let thread = pthread_self()
    /// Nanoseconds of one attempt, as `WorkTime` counts.
    package let limit = Atomic<Int64>(.max)
    /// Wall nanoseconds of one attempt that are enough in any case.
    package let most = Atomic<Int64>(.max)
    private var attempt: UInt64 = 0
    private var cpuBegun: Int64 = 0
    private var elapsed: Int64 = 0

    fileprivate init(_ lua: LuaWorkerControl) { self.lua = lua }

    /// - Parameter passed: nanoseconds since the last look.
    fileprivate func look(_ passed: Int64) {
      let running = lua.running
      if running == 0 { return attempt = 0 }
      guard let cpu = Thread.cpuTime(of: thread) else { return }
      if attempt != running {
        attempt = running
        (cpuBegun, elapsed) = (cpu, 0)
        return
      }
      let limit = limit.load(ordering: .relaxed)
      elapsed += passed
      let work = WorkTime.of(cpu: cpu - cpuBegun, wall: elapsed)
      if work >= limit || elapsed >= most.load(ordering: .relaxed) {
        lua.kill(running, reason: .timeout)
      }
    }
  }

  /// What the guard and its thread share.
  private final class Shared: Sendable {
    let watched = Mutex<[Watched]>([])
    let wakeUp = WakeUp()
    let isStopping = Atomic<Bool>(false)

    func loop() {
      var passage = Passage(MonotonicTime(nanoseconds: Thread.time(CLOCK_MONOTONIC)))
      while !isStopping.load(ordering: .acquiring) {
        let (passed, _) = passage.look(MonotonicTime(nanoseconds: Thread.time(CLOCK_MONOTONIC)))
        watched.withLock { for item in $0 { item.look(passed) } }
        wakeUp.sleep(nanoseconds: AttemptGuard.tick)
      }
    }
  }

  /// Nanoseconds.
  private static let tick: Int64 = 2_000_000

  private let shared = Shared()
  private let thread: pthread_t

  package init() {
    let shared = shared
    thread = Thread.spawn(name: "attempt-guard", stackBytes: 1 << 20) { shared.loop() }
  }

  deinit {
    shared.isStopping.store(true, ordering: .releasing)
    shared.wakeUp.wake()
    pthread_join(thread, nil)
  }

  /// Watches over a Lua state that belongs to the calling thread.
  package func watch(_ lua: LuaWorkerControl) -> Watched {
    let new = Watched(lua)
    shared.watched.withLock { $0.append(new) }
    return new
  }

  /// Call before the Lua state goes away.
  package func forget(_ old: Watched) { shared.watched.withLock { $0.removeAll { $0 === old } } }
}
