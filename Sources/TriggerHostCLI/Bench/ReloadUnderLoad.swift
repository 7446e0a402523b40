import TriggerCore
import TriggerHost

/// Bumps of a thousand triggers at a steady rate, alone and while one of their files is saved again and again.
struct ReloadUnderLoad {
  var settings: BenchSettings
  private let triggers = 1000
  private let reloads = 10
  private let rate = 100_000.0
  /// Five seconds' worth: a reload every half second.
  private var count: Int { min(settings.operations, 500_000) }

  private struct Run {
    var seconds: Double
    var cpuSeconds: Double
    var producer: Producer.Report
    var latency: LatencyHistogram
    var conflicts: Int
    var deferred: Int
    var reloads: [Duration] = []
  }

  func measure() async throws -> BenchResult {
    let bytes = try await bytesPerTrigger()
    let alone = try await run(reloads: 0)
    let memory = MemoryMeter()
    let loaded = try await run(reloads: reloads)
    return BenchResult(
      measurement: Measurement.reload.rawValue, operations: count, keys: settings.keys,
      workers: settings.workers, seconds: loaded.seconds, operationsPerSecond: Double(count) / loaded.seconds,
      cpuMicrosecondsPerOperation: alone.cpuSeconds / Double(count) * 1e6,
      producerCpuMicrosecondsPerOperation: alone.producer.cpuSeconds / Double(count) * 1e6,
      p50Microseconds: loaded.latency.microseconds(50), p99Microseconds: loaded.latency.microseconds(99),
      p999Microseconds: loaded.latency.microseconds(99.9), reExecutions: loaded.conflicts,
      deferred: loaded.deferred, peakMemoryMegabytes: memory.peakMegabytes,
      targetOperationsPerSecond: rate,
      producerLateP99Microseconds: loaded.producer.lateness.microseconds(99),
      unloadedP50Microseconds: alone.latency.microseconds(50),
      unloadedP99Microseconds: alone.latency.microseconds(99),
      unloadedP999Microseconds: alone.latency.microseconds(99.9),
      unloadedReExecutions: alone.conflicts, reloads: loaded.reloads.count,
      longestReloadMilliseconds: (loaded.reloads.max() ?? .zero) / .milliseconds(1),
      bytesPerWorkerPerTrigger: bytes)
  }

  private func run(reloads: Int) async throws -> Run {
    var producer = Producer(
      .bump, keys: settings.keys, names: (0..<triggers).map { Self.event($0) })
    // Events that meet at a key by chance conflict, reloads or not: without those, each re-run is a reload's.
    producer.goesInTurn = true
    let engine = try makeEngine(settings)
    defer { engine.stop() }
    try await engine.fill(.bump, keys: settings.keys)
    try await engine.warmUp(producer, settings.warmUp)
    let before = engine.coordinator.stats
    let cpu = ProcessUsage.cpuSeconds
    let start = ContinuousClock.now
    let span = Duration.seconds(Double(count) / rate)
    async let times = reload(engine, reloads, every: span / (self.reloads + 1))
    let report = try await producer.send(count, to: engine.queue, rate: rate)
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let spans = try await times
    try await engine.waitUntilIdle()
    let after = engine.coordinator.stats
    try engine.check(count + reloads, from: before, to: after)
    return Run(
      seconds: seconds, cpuSeconds: ProcessUsage.cpuSeconds - cpu, producer: report,
      latency: after.latency[.normal] ?? LatencyHistogram(), conflicts: after.conflicts - before.conflicts,
      deferred: after.deferred - before.deferred, reloads: spans)
  }

  /// Saves one file `times` times. What each took from the changed file to the new tree in force.
  private func reload(_ engine: BenchEngine, _ times: Int, every pause: Duration) async throws -> [Duration] {
    var (reload, spans) = (ScriptReload(engine.tree), [Duration]())
    for time in 0..<times {
      try await Task.sleep(for: pause)
      var changes = FileChanges()
      changes[Self.path(7)] = .written(FileContent(Self.script(7) + "-- \(time)\n"))
      let start = ContinuousClock.now
      var tree = try reload.take(changes).tree
      tree.identity = try engine.disk?.keep(tree.files)
      try await engine.queue.replaceScripts(with: tree)
      spans.append(ContinuousClock.now - start)
    }
    return spans
  }

  /// What the one worker of an engine takes for each further trigger that it has run.
  private func bytesPerTrigger() async throws -> Double {
    var settings = settings
    settings.workers = 1
    let engine = try makeEngine(settings)
    defer { engine.stop() }
    try await engine.fill(.bump, keys: 1)
    let event = StandardOperation.bump.event(0)
    _ = try await engine.queue.perform(Event(Self.event(0), event))
    let memory = MemoryMeter()
    for trigger in 1..<triggers { _ = try await engine.queue.perform(Event(Self.event(trigger), event)) }
    return Double(memory.grown) / Double(triggers - 1)
  }

  // MARK: Scripts

  private func makeEngine(_ settings: BenchSettings) throws -> BenchEngine {
    let files = (0..<triggers).map { (Self.path($0), Self.script($0)) }
    return try BenchEngine(settings, scripts: Dictionary(uniqueKeysWithValues: files))
  }

  private static func event(_ trigger: Int) -> String { "bump\(trigger)" }
  private static func path(_ trigger: Int) -> String { "triggers/bump\(trigger).lua" }
  private static func script(_ trigger: Int) -> String {
    StandardOperation.bump.script.replacing(#"event = "bump""#, with: #"event = "\#(event(trigger))""#) + "\n"
  }
}
