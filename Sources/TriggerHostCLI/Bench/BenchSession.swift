/// Runs the measurements one after another; remembers the rate of `bump`, which others compare with.
struct BenchSession {
  let settings: BenchSettings
  private var bump: BenchResult?

  init(_ settings: BenchSettings) { self.settings = settings }

  mutating func run(_ measurement: Measurement) async throws -> BenchResult {
    // What earlier engines had is not this one's.
    ProcessUsage.returnFreeMemory()
    return switch measurement {
    case .bump: try await measureBump()
    case .indicator: try await throughput(.indicator, .indicator).measure()
    case .add: try await throughput(.add, .add).measure()
    case .halfLoad: try await halfLoad()
    case .priority: try await PriorityUnderLoad(settings: settings).measure()
    case .hot: try await hot()
    case .manyKeys: try await manyKeys()
    }
  }

  private func throughput(_ measurement: Measurement, _ operation: StandardOperation) -> Throughput {
    Throughput(
      measurement: measurement, operation: operation, operations: settings.operations,
      keys: settings.keys, settings: settings)
  }

  private mutating func measureBump() async throws -> BenchResult {
    let result = try await throughput(.bump, .bump).measure()
    bump = result
    return result
  }

  /// The rate of `bump`, measured now if it was left out.
  private mutating func bumpRate() async throws -> Double {
    if let bump { return bump.operationsPerSecond }
    return try await measureBump().operationsPerSecond
  }

  private mutating func halfLoad() async throws -> BenchResult {
    var run = throughput(.halfLoad, .bump)
    run.operations /= 2  // takes as long as `bump` took
    run.rate = try await bumpRate() / 2
    return try await run.measure()
  }

  private mutating func hot() async throws -> BenchResult {
    let uniform = try await bumpRate()
    var run = throughput(.hot, .bump)
    run.hotShare = settings.hotShare
    var result = try await run.measure()
    result.ratioToBump = result.operationsPerSecond / uniform
    return result
  }

  private mutating func manyKeys() async throws -> BenchResult {
    let few = try await bumpRate()
    var run = throughput(.manyKeys, .bump)
    run.keys = settings.manyKeys
    run.measuresMemory = true
    var result = try await run.measure()
    result.ratioToBump = result.operationsPerSecond / few
    return result
  }
}
