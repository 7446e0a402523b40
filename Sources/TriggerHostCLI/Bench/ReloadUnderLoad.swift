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

  func measure() async throws -> BenchResult {
    let bytes = try await bytesPerTrigger()
    let (alone, _) = try await run(reloads: 0)
    let memory = MemoryMeter()
    let (loaded, spans) = try await run(reloads: reloads)
    var result = BenchResult(
      .reload, settings, count: count, rate: rate, alone: alone, loaded: loaded, memory: memory)
    result.unloadedReExecutions = alone.conflicts
    result.reloads = spans.count
    result.longestReloadMilliseconds = (spans.max() ?? .zero) / .milliseconds(1)
    result.bytesPerWorkerPerTrigger = bytes
    return result
  }

  private func run(reloads: Int) async throws -> (SteadyRun, [Duration]) {
    var producer = Producer(
      .bump, keys: settings.keys, names: (0..<triggers).map { Self.event($0) })
    // Events that meet at a key by chance conflict, reloads or not: without those, each re-run is a reload's.
    producer.goesInTurn = true
    let engine = try makeEngine(settings)
    defer { engine.stop() }
    try await engine.fill(.bump, keys: settings.keys)
    try await engine.warmUp(producer, settings.warmUp)
    let pause = Duration.seconds(Double(count) / rate) / (self.reloads + 1)
    let reloading = Task { try await reload(engine, reloads, every: pause) }
    var spans: [Duration] = []
    let run = try await SteadyRun(count, of: producer, rate: rate, through: engine, priority: .normal) {
      spans = try await reloading.value
      try await engine.waitUntilIdle()
    }
    try engine.check(count + reloads, from: run.before, to: run.after)
    return (run, spans)
  }

  /// Saves one file `times` times. What each took from the changed file to the new tree in force.
  private func reload(_ engine: BenchEngine, _ times: Int, every pause: Duration) async throws -> [Duration] {
    var (reload, spans) = (ScriptReload(engine.tree), [Duration]())
    for time in 0..<times {
      try await Task.sleep(for: pause)
      var changes = FileChanges()
      changes[Self.path(7)] = .written(FileContent(Self.script(7) + "-- \(time)\n"))
      let start = ContinuousClock.now
      var tree = reload.apply(changes).update.tree
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
