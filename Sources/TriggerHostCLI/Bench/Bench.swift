import ArgumentParser
import Foundation
import TriggerSQLite

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure the standard operations on this machine.",
    discussion: """
      Each measurement runs in a fresh engine, in memory, with one thread that sends and --workers threads \
      that run scripts; a warm-up comes before and counts nowhere.

      \(Measurement.allCases.map { "\($0.rawValue): \($0.explanation)" }.joined(separator: "\n"))

      ops/s     operations committed a second
      cpu/op    CPU time of the whole process per operation
      producer  the sending thread's part of it
      p50 ...   from enqueue to commit; of half-load with a log on disk to the outcome, which is when the \
      commit is durable. As fast as it goes, the queue is full and this is mostly waiting in \
      it: look at half-load and priority instead
      re-runs   attempts thrown away because what they had read was changed meanwhile
      deferred  operations that were given a later place because they held up others
      lock      the longest hold of the engine's lock, other programs' time included
      peak      the most the measurement took in RAM, the full queue and the bench's own events included

      Close other programs first, and compare runs of one sitting only. \
      Exit code 1 when a measurement failed; the others are still made.
      """)

  @Option(help: "Operations per measurement.") var operations = 1_000_000
  @Option(help: "Keys in the store.") var keys = 10_000
  @Option(help: "Keys in the store for many-keys.") var manyKeys = 1_000_000
  @Option(help: "Worker threads, 1 to 64.") var workers = 2
  @Option(help: "Share of hot's events that go to 1 % of the keys, 0 to 1.") var hotShare = 0.8
  @Option(help: ArgumentHelp("Only this measurement; may be given several times.", valueName: "name"))
  var only: [Measurement] = []
  @Option(help: "memory, async or group: where the log goes; on disk in the temporary directory.")
  var durability = Durability.memory
  @Flag(help: "Print one JSON object per measurement, times in microseconds.") var json = false

  func validate() throws {
    if operations < 1000 { throw ValidationError("--operations must be at least 1000, got \(operations)") }
    if keys < 1 { throw ValidationError("--keys must be at least 1, got \(keys)") }
    if manyKeys < 1 { throw ValidationError("--many-keys must be at least 1, got \(manyKeys)") }
    if !(1...64).contains(workers) { throw ValidationError("--workers must be 1 to 64, got \(workers)") }
    if !(0...1).contains(hotShare) { throw ValidationError("--hot-share must be 0 to 1, got \(hotShare)") }
  }

  func run() async throws {
    let wanted = Measurement.allCases.filter { only.isEmpty || only.contains($0) }
    let session = BenchSession(
      settings: BenchSettings(
        operations: operations, keys: keys, manyKeys: manyKeys, workers: workers, hotShare: hotShare,
        durability: durability))
    if !json { show(BenchTable.header) }
    var failed = false
    for measurement in wanted {
      BenchProgress.show("measuring \(measurement.rawValue) ...")
      do {
        if measurement == .recovery {
          let result = try await RecoveryBench(settings: session.settings).measure()
          BenchProgress.clear()
          for line in json ? [try BenchResult.line(result)] : result.lines { show(line) }
        } else {
          let result = try await session.run(measurement)
          BenchProgress.clear()
          try report(result)
        }
      } catch {
        BenchProgress.clear()
        failed = true
        try report(error, of: measurement)
      }
    }
    if failed { throw ExitCode(1) }
  }

  private func report(_ result: BenchResult) throws {
    if json { return show(try result.json()) }
    for line in BenchTable.lines(result) { show(line) }
  }

  private func report(_ error: any Error, of measurement: Measurement) throws {
    Output.problem("bench: \(measurement.rawValue) failed: \(error)")
    if json { show(try BenchResult.line(BenchFailure(measurement: measurement.rawValue, error: "\(error)"))) }
  }

  private func show(_ line: String) { Output.exact(line) }
}

/// What is going on, on a terminal only.
enum BenchProgress {
  private static let isTerminal = isatty(STDERR_FILENO) == 1

  static func show(_ text: String) { write("\r\u{1B}[K" + text) }
  static func clear() { write("\r\u{1B}[K") }

  private static func write(_ text: String) {
    if isTerminal { FileHandle.standardError.write(Data(text.utf8)) }
  }
}
