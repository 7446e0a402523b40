import Foundation
import TriggerHost
import TriggerReplay
import TriggerRuntime
import TriggerSQLite

/// What a log on disk costs, and how fast a host is back.
struct RecoveryBench {
  let settings: BenchSettings

  /// A line of the output; JSON keys in snake_case.
  struct Result: Codable, Sendable {
    var measurement = Measurement.recovery.rawValue
    var operations: Int
    /// Of the run that made the log.
    var operationsPerSecond: Double
    var bytesPerCommit: Double
    var recoverySeconds: Double
    var checkpointSeconds: Double
    var recoveryWithCheckpointSeconds: Double
    /// Commits applied a second without executing anything.
    var replayedPerSecond: Double
    /// Commits executed again and compared a second.
    var verifiedPerSecond: Double
    var verifyToLiveRatio: Double
    /// The most that replay and verification added to the process's memory.
    var replayPeakMemoryMegabytes: Double

    var lines: [String] {
      [
        String(
          format:
            "recovery          %@ commits: %.2f s from the log alone, %.2f s with a checkpoint (%.2f s to take)",
          BenchTable.number(Double(operations)), recoverySeconds, recoveryWithCheckpointSeconds,
          checkpointSeconds),
        String(
          format: "                  replay %@/s; verify %@/s, %.2f of the live rate %@/s; peak %.0f MB",
          BenchTable.number(replayedPerSecond), BenchTable.number(verifiedPerSecond), verifyToLiveRatio,
          BenchTable.number(operationsPerSecond), replayPeakMemoryMegabytes),
        String(format: "                  %.0f bytes a commit on disk", bytesPerCommit),
      ]
    }
  }

  func measure() async throws -> Result {
    var settings = settings
    if settings.durability == .memory { settings.durability = .group }
    let operation = StandardOperation.bump
    let engine = try BenchEngine(settings, scripts: ["bump.lua": operation.script])
    let disk = engine.disk!
    defer { engine.stop() }
    try await engine.fill(operation, keys: settings.keys)
    let producer = Producer(operation, keys: settings.keys)
    let before = try disk.bytes()
    let live = try await timed {
      _ = try await producer.send(settings.operations, to: engine.queue)
      try await engine.waitUntilIdle()
    }
    let operations = Double(settings.operations)
    let bytes = Double(try disk.bytes() - before) / operations
    let alone = try recover(disk)
    let checkpointer = try Checkpointer(disk.log, engine.coordinator, recovery: alone.recovery)
    let checkpoint = try await timed { try checkpointer.checkpoint() }
    let memory = MemoryMeter()
    let replayed = try replay(disk)
    let verified = try verify(disk)
    return Result(
      operations: settings.operations, operationsPerSecond: operations / live, bytesPerCommit: bytes,
      recoverySeconds: alone.seconds, checkpointSeconds: checkpoint,
      recoveryWithCheckpointSeconds: try recover(disk).seconds, replayedPerSecond: operations / replayed,
      verifiedPerSecond: operations / verified, verifyToLiveRatio: live / verified,
      replayPeakMemoryMegabytes: memory.peakMegabytes)
  }

  private func timed(_ body: () async throws -> Void) async throws -> Double {
    let start = ContinuousClock.now
    try await body()
    return (ContinuousClock.now - start) / .seconds(1)
  }

  /// As a host that starts.
  private func recover(_ disk: BenchDisk) throws -> (seconds: Double, recovery: Recovery) {
    let start = ContinuousClock.now
    let recovery = try PastHost(recovering: LogReader(path: disk.path)).recovery
    return ((ContinuousClock.now - start) / .seconds(1), recovery)
  }

  private func replay(_ disk: BenchDisk) throws -> Double {
    let start = ContinuousClock.now
    let replayer = Replayer()
    try LogReader(path: disk.path).visitViews { try replayer.apply($0) }
    return (ContinuousClock.now - start) / .seconds(1)
  }

  private func verify(_ disk: BenchDisk) throws -> Double {
    let history = try History(disk.path)
    let start = ContinuousClock.now
    let verification = Verification(workers: settings.workers, scripts: history.tree)
    try history.visitViews(from: 1, to: history.last) { try verification.check($0) }
    if let difference = verification.finish().difference { throw BenchFailure(error: "\(difference)") }
    return (ContinuousClock.now - start) / .seconds(1)
  }
}
