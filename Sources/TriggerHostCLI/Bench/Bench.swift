import ArgumentParser
import Foundation

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure the standard operations on this machine.")

  @Option(help: "Operations per measurement.") var operations = 1_000_000
  @Option(help: "Keys in the store.") var keys = 10_000
  @Option(help: "Worker threads.") var workers = 2
  @Option(help: "Only this operation: bump, indicator or add.") var only: String?
  @Option(help: "Share of events on 1 % of the keys, 0 to 1.") var hot = 0.0
  @Flag(help: "Print one JSON object per measurement.") var json = false

  func run() async throws {
    for operation in StandardOperation.allCases where only == nil || only == operation.rawValue {
      let run = BenchRun(
        operation: operation, operations: operations, keys: keys, workers: workers, hotShare: hot)
      let result = try await run.measure()
      if json {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = .sortedKeys
        print(String(decoding: try encoder.encode(result), as: UTF8.self))
      } else {
        print(
          String(
            format:
              "%@  %9.0f/s  cpu %.2f us/op  p50 %.0f us  p99 %.0f us  conflicts %d  deferred %d  peak %.0f MB",
            result.name, result.operationsPerSecond, result.cpuMicrosecondsPerOperation,
            result.p50Microseconds, result.p99Microseconds, result.conflicts, result.deferred,
            result.peakMemoryMegabytes))
      }
    }
  }
}
