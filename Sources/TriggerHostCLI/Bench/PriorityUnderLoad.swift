import TriggerCore
import TriggerHost

/// `high` bumps at a steady rate, alone and beside low-priority scripts that keep all workers busy.
struct PriorityUnderLoad {
  var settings: BenchSettings
  private let rate = 400.0
  private let lowCPUSeconds = 0.05
  /// Five seconds' worth.
  private var count: Int { min(settings.operations, 2000) }

  /// As long as it is told to be: `event.rounds` turns of a loop.
  private static let low = """
    return {
      on = { event = "low" },
      priority = "low",
      timeout = "60s",
      execute = function(event, ctx)
        local sum = 0
        for i = 1, event.rounds do sum = sum + i % 7 end
        return {}
      end,
    }
    """

  func measure() async throws -> BenchResult {
    let alone = try await run(rounds: nil)
    let rounds = try await calibrate()
    let memory = MemoryMeter()
    let loaded = try await run(rounds: rounds)
    var result = BenchResult(
      .priority, settings, count: count, rate: rate, alone: alone, loaded: loaded, memory: memory)
    result.lowCommitted = loaded.committed - count
    result.lowCpuMilliseconds = lowCPUSeconds * 1000
    return result
  }

  /// - Parameter rounds: length of the low-priority scripts; nil for none.
  private func run(rounds: Int64?) async throws -> SteadyRun {
    let producer = Producer(.bump, keys: settings.keys)
    let engine = try makeEngine()
    defer { engine.stop() }
    try await engine.fill(.bump, keys: settings.keys)
    try await engine.warmUp(producer, settings.warmUp, priority: .normal)
    if let rounds { try await saturate(engine, rounds) }
    return try await SteadyRun(count, of: producer, rate: rate, through: engine, priority: .high) {
      try await waitForHigh(engine)
    }
  }

  private func makeEngine() throws -> BenchEngine {
    let bump = StandardOperation.bump.script
    let high = "return {\n  priority = \"high\"," + bump.dropFirst("return {".count)
    return try BenchEngine(
      settings, scripts: ["bump.lua": high, "low.lua": Self.low])
  }

  /// Turns of the loop that take the wanted CPU time here.
  private func calibrate() async throws -> Int64 {
    let engine = try makeEngine()
    defer { engine.stop() }
    let trial: Int64 = 2_000_000
    _ = try await engine.queue.perform(Event("low", ["rounds": .int(trial / 10)]))
    let before = ProcessUsage.cpuSeconds
    _ = try await engine.queue.perform(Event("low", ["rounds": .int(trial)]))
    let used = ProcessUsage.cpuSeconds - before
    return Int64(Double(trial) * lowCPUSeconds / max(used, 0.001))
  }

  /// Queues more than can run in the time; stopping the engine drops the rest.
  private func saturate(_ engine: BenchEngine, _ rounds: Int64) async throws {
    let enough = 100 + Int(Double(count) / rate / lowCPUSeconds * 4) * settings.workers
    for _ in 0..<enough { try await engine.queue.enqueue(Event("low", ["rounds": .int(rounds)])) }
    try await Task.sleep(for: .milliseconds(200))
  }

  /// The low ones never end in time, so idleness cannot be waited for.
  private func waitForHigh(_ engine: BenchEngine) async throws {
    for _ in 0..<3000 {
      let seen = engine.coordinator.stats.latency[.high]?.count ?? 0
      if seen >= UInt64(count) { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    let seen = engine.coordinator.stats.latency[.high]?.count ?? 0
    throw BenchFailure(error: "\(seen) of \(count) high-priority operations committed within 30 s")
  }
}
