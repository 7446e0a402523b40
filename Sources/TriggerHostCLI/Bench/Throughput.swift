import TriggerHost

/// A standard operation through a fresh engine, as fast as it goes or at a given rate.
struct Throughput {
  var measurement: Measurement
  var operation = StandardOperation.bump
  var operations: Int
  var keys: Int
  var settings: BenchSettings
  var hotShare = 0.0
  /// Operations a second; nil is as fast as it goes.
  var rate: Double?
  var measuresMemory = false

  func measure() async throws -> BenchResult {
    let memory = MemoryMeter()
    var producer = Producer(operation, keys: keys, hotShare: hotShare)
    let engine = try BenchEngine(
      settings, scripts: ["\(operation.rawValue).lua": operation.script])
    defer { engine.stop() }
    let bytesPerKey = try await load(engine)
    try await engine.warmUp(producer, settings.warmUp)
    // With a log, what counts is when an outcome may be told.
    if settings.durability != .memory, rate != nil { producer.outcomes = OutcomeTimes() }
    var result = try await run(engine, producer)
    if settings.keepsTable {
      let idle = ContinuousClock.now
      try await engine.waitForTable()
      result.tableBehindMilliseconds = (ContinuousClock.now - idle) / .milliseconds(1)
    }
    result.residentBytesPerKey = bytesPerKey
    result.peakMemoryMegabytes = memory.peakMegabytes
    return result
  }

  /// Returns what a key takes in memory, its record included; nil unless that was asked for.
  private func load(_ engine: BenchEngine) async throws -> Double? {
    guard measuresMemory else {
      try await engine.fill(operation, keys: keys)
      return nil
    }
    let memory = MemoryMeter()
    try await engine.fill(operation, keys: keys)
    return Double(memory.grown) / Double(keys)
  }

  private func run(_ engine: BenchEngine, _ producer: Producer) async throws -> BenchResult {
    let before = engine.coordinator.stats
    _ = engine.coordinator.takeLongestHold()
    let cpu = ProcessUsage.cpuSeconds
    let start = ContinuousClock.now
    let report =
      if let rate {
        try await producer.send(operations, to: engine.queue, rate: rate)
      } else {
        try await producer.send(operations, to: engine.queue)
      }
    try await engine.waitUntilIdle()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let used = ProcessUsage.cpuSeconds - cpu
    let stats = engine.coordinator.stats
    try engine.check(operations, from: before, to: stats)
    let latency = producer.outcomes?.histogram ?? stats.latency[.normal] ?? LatencyHistogram()
    return BenchResult(
      measurement: measurement.rawValue, operations: operations, keys: keys, workers: settings.workers,
      seconds: seconds, operationsPerSecond: Double(operations) / seconds,
      cpuMicrosecondsPerOperation: used / Double(operations) * 1e6,
      producerCpuMicrosecondsPerOperation: report.cpuSeconds / Double(operations) * 1e6,
      p50Microseconds: latency.microseconds(50), p99Microseconds: latency.microseconds(99),
      p999Microseconds: latency.microseconds(99.9), reExecutions: stats.conflicts - before.conflicts,
      deferred: stats.deferred - before.deferred,
      longestLockHoldMicroseconds: Double(engine.coordinator.takeLongestHold()) / 1000,
      targetOperationsPerSecond: rate,
      producerLateP99Microseconds: rate == nil ? nil : report.lateness.microseconds(99),
      hotShare: hotShare > 0 ? hotShare : nil)
  }
}
