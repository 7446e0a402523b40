import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost

/// `replay --verify`.
extension Replay {
  func verifyHistory() throws {
    let loaded = config.map { HostConfig.load(path: $0) }
    if let loaded { try report(loaded.report) }
    let history = try History(data, config: loaded?.config)
    try history.require(from)
    try history.require(to)
    let threads = workers ?? ProcessInfo.processInfo.activeProcessorCount
    let started = ContinuousClock.now
    let verification = Verification(
      workers: threads, configuration: try EngineConfiguration(limitsOf: loaded?.config),
      scripts: history.tree)
    let first = from ?? 1
    try history.visit(to: to ?? history.last) { record in
      if record.seq >= first { return try verification.check(record) }
      try verification.apply(record)
      return true
    }
    let verdict = verification.finish()
    try say(verdict, before: first - 1, seconds: (ContinuousClock.now - started) / .seconds(1), threads)
    if verdict.difference != nil { throw ExitCode(1) }
  }

  /// - Parameter before: seqs that were not asked for.
  private func say(
    _ verdict: Verification.Verdict, before: Int64, seconds: Double, _ threads: Int
  ) throws {
    let applied = verdict.applied - Int(before)
    if json {
      var fields: [String: Value] = [
        "verified": .int(Int64(verdict.executed)), "applied": .int(Int64(applied)),
        "same": .bool(verdict.difference == nil),
      ]
      if let difference = verdict.difference {
        fields["seq"] = .int(difference.seq)
        fields["trigger"] = .string(difference.trigger)
        fields["reason"] = .string(difference.reason)
      }
      return print(try JSON.text(.map(fields)))
    }
    if let difference = verdict.difference {
      print("differs: \(difference)")
      if config == nil { print("(Limits are not in the log: where they were others, say --config.)") }
      return
    }
    let rest = applied == 0 ? "" : ", \(applied) applied only (deferred, skipped, killed, or in Swift)"
    print(
      String(
        format: "%d seqs verified in %.2f s by %d worker%@: all the same%@", verdict.executed, seconds,
        threads, threads == 1 ? "" : "s", rest))
  }
}
