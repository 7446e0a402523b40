import Foundation
import TriggerCore
import TriggerHost

/// One measured run of a standard operation through the real queue.
struct BenchRun {
  var operation: StandardOperation
  var operations: Int
  var keys: Int
  var workers: Int
  /// Share of events that go to 1 % of the keys; 0 is uniform.
  var hotShare = 0.0

  struct Result: Codable {
    var name: String
    var operations: Int
    var keys: Int
    var workers: Int
    var seconds: Double
    var operationsPerSecond: Double
    var cpuMicrosecondsPerOperation: Double
    var p50Microseconds: Double
    var p99Microseconds: Double
    var p999Microseconds: Double
    var conflicts: Int
    var deferred: Int
    var peakMemoryMegabytes: Double
  }

  func measure() async throws -> Result {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: workers))
    let initial = Dictionary(uniqueKeysWithValues: (0..<keys).map { ("k\($0)", operation.initial($0)) })
    try coordinator.register(VersionedStore("bench", backend: MemoryStoreBackend(initial)))
    let queue = TriggerQueue(coordinator)
    let tree = ScriptTree(files: ["\(operation.rawValue).lua": Array(operation.script.utf8)])
    if let problem = tree.problems.first { throw problem }
    queue.bind([], scripts: tree)
    queue.start()
    try await send(min(operations / 10, 50_000), to: queue)  // warm-up
    await queue.waitUntilIdle()
    let before = coordinator.stats
    let cpu = cpuSeconds()
    let start = ContinuousClock.now
    try await send(operations, to: queue)
    await queue.waitUntilIdle()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let used = cpuSeconds() - cpu
    let stats = coordinator.stats
    queue.stop()
    guard stats.committed - before.committed == operations else {
      throw ValidationFailure(
        "\(stats.committed - before.committed) of \(operations) committed, \(stats.failed) failed")
    }
    let latency = stats.latency[.normal]!
    return Result(
      name: operation.rawValue, operations: operations, keys: keys, workers: workers, seconds: seconds,
      operationsPerSecond: Double(operations) / seconds,
      cpuMicrosecondsPerOperation: used / Double(operations) * 1_000_000,
      p50Microseconds: Double(latency.percentile(50)) / 1000,
      p99Microseconds: Double(latency.percentile(99)) / 1000,
      p999Microseconds: Double(latency.percentile(99.9)) / 1000,
      conflicts: stats.conflicts - before.conflicts, deferred: stats.deferred - before.deferred,
      peakMemoryMegabytes: peakMemoryMegabytes())
  }

  private func send(_ count: Int, to queue: TriggerQueue) async throws {
    let payloads = (0..<keys).map { CanonicalEncoding.encode(operation.event($0)) }
    var random = SplitMix64(seed: 1)
    let hotKeys = max(1, keys / 100)
    for _ in 0..<count {
      let key =
        hotShare > 0 && Double(random.next() % 1000) / 1000 < hotShare
        ? Int(random.next() % UInt64(hotKeys)) : Int(random.next() % UInt64(keys))
      try await queue.enqueue(Event(operation.rawValue, encoded: payloads[key]))
    }
  }
}

struct ValidationFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// CPU time of this process, all threads.
func cpuSeconds() -> Double {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }
  return seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

func peakMemoryMegabytes() -> Double {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return Double(usage.ru_maxrss) / 1024
}
