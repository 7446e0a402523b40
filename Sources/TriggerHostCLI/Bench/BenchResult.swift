import Foundation
import TriggerHost

/// One finished measurement; also the shape of a line of `--json` (keys in snake_case, absent when they say
/// nothing about the measurement).
struct BenchResult: Codable, Sendable {
  var measurement: String
  var operations: Int
  var keys: Int
  var workers: Int
  var seconds: Double
  var operationsPerSecond: Double
  /// CPU of the whole process per operation, the producer's included. `priority` and `reload`: of the
  /// unloaded run, since beside other work it would say nothing about the bumps.
  var cpuMicrosecondsPerOperation: Double
  /// The part of it that the thread took which makes up and enqueues the events.
  var producerCpuMicrosecondsPerOperation: Double
  var p50Microseconds: Double
  var p99Microseconds: Double
  var p999Microseconds: Double
  /// Attempts thrown away because what they had read was changed meanwhile.
  var reExecutions: Int
  var deferred: Int
  /// The longest time that anybody held the engine's lock: everybody else waits for it then. With the time that the
  /// machine gave to others meanwhile.
  var longestLockHoldMicroseconds = 0.0
  /// The most that the measurement added to the process's resident memory, the bench's own events included.
  var peakMemoryMegabytes = 0.0

  /// Rate that was asked for; only when the events were paced.
  var targetOperationsPerSecond: Double?
  /// How late the 99th of 100 paced events was sent: a busy machine, not the engine.
  var producerLateP99Microseconds: Double?
  /// Rate of `bump` with the same settings, measured right before, and the rate compared to it.
  var bumpOperationsPerSecond: Double?
  var ratioToBump: Double?
  var residentBytesPerKey: Double?
  /// `database` only: from the last commit to the table having it.
  var tableBehindMilliseconds: Double?
  var hotShare: Double?
  /// `priority` and `reload`: the same events with nothing else to do.
  var unloadedP50Microseconds: Double?
  var unloadedP99Microseconds: Double?
  var unloadedP999Microseconds: Double?
  /// `priority` only: low-priority scripts that committed meanwhile, and the CPU time of one.
  var lowCommitted: Int?
  var lowCpuMilliseconds: Double?

  /// `reload` only: re-executions of the same events without reloads; how often scripts were reloaded, and how
  /// long the longest took from its changed files to be in force; what the Lua state of a worker takes for a
  /// trigger that it has loaded.
  var unloadedReExecutions: Int?
  var reloads: Int?
  var longestReloadMilliseconds: Double?
  var bytesPerWorkerPerTrigger: Double?

  func json() throws -> String { try Self.line(self) }

  static func line(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = .sortedKeys
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}

/// A line of `--json` for a measurement that did not end well.
struct BenchFailure: Codable, Error, CustomStringConvertible {
  var measurement = ""
  var error: String
  var description: String { error }
}

extension LatencyHistogram {
  func microseconds(_ percent: Double) -> Double { Double(percentile(percent)) / 1000 }
}
