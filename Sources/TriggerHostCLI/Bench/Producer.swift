import Foundation
import Synchronization
import TriggerCore
import TriggerHost

/// Makes up events of one operation over keys `k0`... and offers them from a thread of its own, so that its
/// CPU time can be told from the engine's.
struct Producer: Sendable {
  /// Names of the events; the event of a key always has the same.
  private let names: [String]
  private let payloads: [[UInt8]]
  /// Share of events that go to 1 % of the keys; 0 is uniform.
  private let hotShare: Double
  /// Keys come one after another, so that no two operations under way have the same; otherwise at random.
  var goesInTurn = false
  /// Times from enqueue until the outcome is told, which is when it is durable; nil: nobody waits.
  var outcomes: OutcomeTimes?

  struct Report: Sendable {
    var cpuSeconds = 0.0
    /// By how much events were sent after they were due.
    var lateness = LatencyHistogram()
  }

  init(_ operation: StandardOperation, keys: Int, hotShare: Double = 0, names: [String]? = nil) {
    self.names = names ?? [operation.rawValue]
    payloads = (0..<keys).map { CanonicalEncoding.encode(operation.event($0)) }
    self.hotShare = hotShare
  }

  /// As fast as the queue takes them.
  func send(_ count: Int, to queue: TriggerQueue, priority: Priority? = nil) async throws -> Report {
    try await onOwnThread { report in
      var random = SplitMix64(seed: 1)
      for _ in 0..<count { try offer(event(randomKey(&random), priority), to: queue) }
    }
  }

  /// Evenly, `rate` a second: every tick sends what is due by the clock, so that a late tick is made up for
  /// and the rate does not sink when the machine is busy.
  func send(_ count: Int, to queue: TriggerQueue, rate: Double, priority: Priority? = nil) async throws
    -> Report
  {
    try await onOwnThread { report in
      var random = SplitMix64(seed: 2)
      let interval = max(100_000, Int64(1e9 / rate))  // nanoseconds
      let perTick = rate * Double(interval) / 1e9
      let start = monotonicNanoseconds()
      var sent = 0
      var tick = 0
      var key = 0
      while sent < count {
        tick += 1
        let due = start + Int64(tick) * interval
        sleep(until: due)
        let lateness = monotonicNanoseconds() - due
        let wanted = min(count, Int(Double(tick) * perTick))
        while sent < wanted {
          key = goesInTurn ? (key + 1) % payloads.count : randomKey(&random)
          try offer(event(key, priority), to: queue)
          report.lateness.add(nanoseconds: lateness)
          sent += 1
        }
      }
    }
  }

  private func randomKey(_ random: inout SplitMix64) -> Int {
    let isHot = hotShare > 0 && Double(random.next() % 1000) / 1000 < hotShare
    let among = isHot ? max(1, payloads.count / 100) : payloads.count
    return Int(random.next() % UInt64(among))
  }

  private func event(_ key: Int, _ priority: Priority?) -> Event {
    Event(names[key % names.count], encoded: payloads[key], priority: priority)
  }

  /// Waits a millisecond at a time while the queue is full: far less than it takes to empty it.
  private func offer(_ event: Event, to queue: TriggerQueue) throws {
    let giveUp = 30_000
    let completion = outcomes?.next()
    for _ in 0..<giveUp {
      if queue.offer(telling: completion, event) != nil { return }
      usleep(1000)
    }
    throw BenchFailure(error: "the queue was full for 30 s: no operation ends")
  }

  private func onOwnThread(_ body: @escaping @Sendable (inout Report) throws -> Void) async throws -> Report {
    try await withCheckedThrowingContinuation { continuation in
      let thread = Thread {
        var report = Report()
        let before = ProcessUsage.threadCPUSeconds
        let outcome = Result { try body(&report) }
        report.cpuSeconds = ProcessUsage.threadCPUSeconds - before
        continuation.resume(with: outcome.map { report })
      }
      thread.name = "producer"
      thread.start()
    }
  }
}

/// Takes the time of one outcome in sixteen: each that is waited for costs a closure.
final class OutcomeTimes: Sendable {
  private let state = Mutex<(count: Int, times: LatencyHistogram)>((0, LatencyHistogram()))

  var histogram: LatencyHistogram { state.withLock { $0.times } }

  fileprivate func next() -> (@Sendable (OperationResult) -> Void)? {
    let isWanted = state.withLock { state in
      state.count += 1
      return state.count % 16 == 0
    }
    guard isWanted else { return nil }
    let start = monotonicNanoseconds()
    return { _ in
      let span = monotonicNanoseconds() - start
      self.state.withLock { $0.times.add(nanoseconds: span) }
    }
  }
}

private func monotonicNanoseconds() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// - Parameter deadline: as `monotonicNanoseconds` counts. Returns at once when it is past.
private func sleep(until deadline: Int64) {
  let left = deadline - monotonicNanoseconds()
  guard left > 0 else { return }
  var time = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
  nanosleep(&time, nil)
}
