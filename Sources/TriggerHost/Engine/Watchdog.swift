import Glibc
import Synchronization
import TriggerCore

/// Looks at the workers twice per millisecond while anything runs: ends attempts that are over their time,
/// frees what a stuck worker holds, finds a reserve worker for urgent work, and lets the engine defer what
/// holds up others. Costs nothing while the engine is idle, and nothing per attempt.
final class Watchdog: @unchecked Sendable {  // `watches` and `workers` belong to the watchdog's thread
  private struct Watch {
    var attempt: UInt64 = 0
    /// Nanoseconds that were seen to pass since it was first seen.
    var elapsed: Int64 = 0
    var cpuSince: Int64 = 0
    /// When its end was first seen to be asked for.
    var endAsked: (elapsed: Int64, cpu: Int64)?
  }

  /// Nanoseconds.
  private static let longestNap: Int64 = 10_000_000
  /// While nothing runs it looks at the clocks this often, in nanoseconds.
  private static let idleNap: Int64 = 1_000_000_000

  private let engine: Engine  // a cycle until the engine stops
  private var workers: [Worker]
  private var watches: [Watch]
  private let wakeUp: WakeUp
  private var passage: Passage  // the watchdog's thread
  private let isStopping = Atomic<Bool>(false)
  private var thread = pthread_t()

  init(engine: Engine, workers: [Worker]) {
    self.engine = engine
    self.workers = workers
    wakeUp = engine.watchdogWakeUp
    passage = Passage(engine.clock.monotonic())
    watches = Array(repeating: Watch(), count: workers.count)
  }

  func start() { thread = Thread.spawn(name: "watchdog", stackBytes: 1 << 20) { self.loop() } }

  func stop() {
    isStopping.store(true, ordering: .releasing)
    wakeUp.wake()
    pthread_join(thread, nil)
  }

  private func loop() {
    let tick = engine.configuration.tick.nanoseconds
    while !isStopping.load(ordering: .acquiring) {
      let (passed, paused) = passage.look(engine.clock.monotonic())
      let stuck = lookAtWorkers(passed)
      let turn = engine.turn(defers: true, stuck: stuck, paused: paused)
      if let waiting = turn.waiting,
        stuck.count(where: { $0.worker.atLeast == .low }) == engine.configuration.workers
      {
        wakeReserve(for: waiting)
      }
      if turn.isActive || workers.contains(where: { $0.running != 0 }) {
        wakeUp.sleep(nanoseconds: tick)
      } else if let due = turn.gateDue {
        // Looks now and then all the same: the engine's clock may be one that is set by hand.
        wakeUp.sleep(nanoseconds: min(max(due - engine.clock.monotonic(), tick), Self.longestNap))
      } else {
        engine.sleepUntilAdmission(nanoseconds: Self.idleNap)
        passage = Passage(engine.clock.monotonic())
      }
    }
  }

  /// Workers that are in the same attempt as at the last look, and the CPU time it has taken since it was
  /// first seen.
  ///
  /// - Parameter passed: nanoseconds since that look.
  private func lookAtWorkers(_ passed: Int64) -> [(worker: Worker, cpuTaken: Int64)] {
    var stuck: [(worker: Worker, cpuTaken: Int64)] = []
    for (index, worker) in workers.enumerated() {
      let attempt = worker.running
      if attempt == 0 {
        watches[index].attempt = 0
      } else if watches[index].attempt != attempt {
        watches[index] = Watch(attempt: attempt, cpuSince: cpuTime(of: worker))
      } else {
        watches[index].elapsed += passed
        let cpu = cpuTime(of: worker) - watches[index].cpuSince
        stuck.append((worker, cpu))
        endIfOverTime(worker, watches[index], cpu)
        if worker.endAsked.load(ordering: .relaxed) == attempt { waitForEnd(index, attempt, cpu) }
      }
    }
    return stuck
  }

  private func endIfOverTime(_ worker: Worker, _ watch: Watch, _ cpu: Int64) {
    let timeout = worker.timeout.load(ordering: .relaxed)
    if WorkTime.of(cpu: cpu, wall: watch.elapsed) >= timeout { worker.kill(watch.attempt) }
  }

  /// An attempt ends within a fraction of a millisecond of being asked to, unless it is stuck in C.
  private func waitForEnd(_ index: Int, _ attempt: UInt64, _ cpu: Int64) {
    let elapsed = watches[index].elapsed
    guard let asked = watches[index].endAsked else { return watches[index].endAsked = (elapsed, cpu) }
    let limit = engine.configuration.abandonAfter.nanoseconds
    guard WorkTime.of(cpu: cpu - asked.cpu, wall: elapsed - asked.elapsed) >= limit else { return }
    watches[index] = Watch()
    if let fresh = engine.replace(workers[index], stuckIn: attempt) { workers[index] = fresh }
  }

  private func cpuTime(of worker: Worker) -> Int64 { Thread.cpuTime(of: worker.thread) ?? 0 }

  /// The least special reserve worker that may take the priority and sleeps.
  private func wakeReserve(for priority: Priority) {
    let reserve =
      workers
      .filter { $0.atLeast > .low && $0.atLeast <= priority && $0.isAsleep.load(ordering: .relaxed) }
      .min { $0.atLeast < $1.atLeast }
    reserve?.wakeUp.wake()
  }
}
