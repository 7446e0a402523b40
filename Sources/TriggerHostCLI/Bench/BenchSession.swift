/// What each measurement runs.
///
/// Those that compare with `bump` run it again right before: on a machine that also does other things, the
/// rate of a minute ago says little.
struct BenchSession {
  var settings: BenchSettings

  func run(_ measurement: Measurement) async throws -> BenchResult {
    switch measurement {
    case .bump: try await throughput(.bump, .bump).measure()
    case .indicator: try await throughput(.indicator, .indicator).measure()
    case .add: try await throughput(.add, .add).measure()
    case .halfLoad: try await halfLoad()
    case .priority: try await PriorityUnderLoad(settings: settings).measure()
    case .hot: try await hot()
    case .manyKeys: try await manyKeys()
    case .database: try await database()
    case .reload: try await ReloadUnderLoad(settings: settings).measure()
    case .recovery: preconditionFailure("recovery has figures of its own")
    }
  }

  private func throughput(_ measurement: Measurement, _ operation: StandardOperation) -> Throughput {
    Throughput(
      measurement: measurement, operation: operation, operations: settings.operations,
      keys: settings.keys, settings: settings)
  }

  private func bumpRate() async throws -> Double {
    try await throughput(.bump, .bump).measure().operationsPerSecond
  }

  private func halfLoad() async throws -> BenchResult {
    var run = throughput(.halfLoad, .bump)
    run.operations /= 2  // takes as long as `bump` took
    run.rate = try await bumpRate() / 2
    return try await run.measure()
  }

  private func hot() async throws -> BenchResult {
    var run = throughput(.hot, .bump)
    run.hotShare = settings.hotShare
    return try await compareWithBump(run)
  }

  private func manyKeys() async throws -> BenchResult {
    var run = throughput(.manyKeys, .bump)
    run.keys = settings.manyKeys
    run.measuresMemory = true
    return try await compareWithBump(run)
  }

  private func database() async throws -> BenchResult {
    var session = self
    if settings.durability == .memory { session.settings.durability = .group }
    var run = session.throughput(.database, .bump)
    run.settings.keepsTable = true
    return try await session.compareWithBump(run)
  }

  private func compareWithBump(_ run: Throughput) async throws -> BenchResult {
    let usual = try await bumpRate()
    var result = try await run.measure()
    result.bumpOperationsPerSecond = usual
    result.ratioToBump = result.operationsPerSecond / usual
    return result
  }
}
