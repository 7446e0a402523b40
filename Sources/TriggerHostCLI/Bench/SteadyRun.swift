import TriggerCore
import TriggerHost

/// A steady stream of operations through an engine, and what it came to. Measurements that look at what something
/// else does to it compare two such runs.
struct SteadyRun {
  let seconds: Double
  let cpuSeconds: Double
  let producer: Producer.Report
  let latency: LatencyHistogram
  let before: EngineStats
  let after: EngineStats

  /// - Parameters:
  ///   - rate: events a second.
  ///   - priority: whose latencies count.
  ///   - wait: returns when all that counts is decided.
  /// - Throws: `BenchFailure` when an operation failed.
  init(
    _ count: Int, of producer: Producer, rate: Double, through engine: BenchEngine, priority: Priority,
    waitUntilDone wait: () async throws -> Void
  ) async throws {
    before = engine.coordinator.stats
    let cpu = ProcessUsage.cpuSeconds
    let start = ContinuousClock.now
    self.producer = try await producer.send(count, to: engine.queue, rate: rate)
    try await wait()
    seconds = (ContinuousClock.now - start) / .seconds(1)
    cpuSeconds = ProcessUsage.cpuSeconds - cpu
    after = engine.coordinator.stats
    try engine.checkNoneFailed(from: before, to: after)
    latency = after.latency[priority] ?? LatencyHistogram()
  }

  var committed: Int { after.committed - before.committed }
  var conflicts: Int { after.conflicts - before.conflicts }
}

extension BenchResult {
  /// The figures of a run beside something else, and the latencies of one without it; the CPU time is that of the one
  /// without, since the other's is not the operations' alone.
  init(
    _ measurement: Measurement, _ settings: BenchSettings, count: Int, rate: Double, alone: SteadyRun,
    loaded: SteadyRun, memory: MemoryMeter
  ) {
    self.init(
      measurement: measurement.rawValue, operations: count, keys: settings.keys, workers: settings.workers,
      seconds: loaded.seconds, operationsPerSecond: Double(count) / loaded.seconds,
      cpuMicrosecondsPerOperation: alone.cpuSeconds / Double(count) * 1e6,
      producerCpuMicrosecondsPerOperation: alone.producer.cpuSeconds / Double(count) * 1e6,
      p50Microseconds: loaded.latency.microseconds(50), p99Microseconds: loaded.latency.microseconds(99),
      p999Microseconds: loaded.latency.microseconds(99.9), reExecutions: loaded.conflicts,
      deferred: loaded.after.deferred - loaded.before.deferred, peakMemoryMegabytes: memory.peakMegabytes,
      targetOperationsPerSecond: rate,
      producerLateP99Microseconds: loaded.producer.lateness.microseconds(99),
      unloadedP50Microseconds: alone.latency.microseconds(50),
      unloadedP99Microseconds: alone.latency.microseconds(99),
      unloadedP999Microseconds: alone.latency.microseconds(99.9))
  }
}
