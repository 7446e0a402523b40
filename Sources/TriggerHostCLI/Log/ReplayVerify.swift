import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost
import TriggerReplay

/// `replay --verify`.
extension Replay {
  func verifyHistory() throws {
    let path = try kept.path()
    let config = try HostConfig.ofKeptData(config)
    let history = try History(path, config: config)
    try history.require(to)
    let first = try history.first(from)
    let threads = workers ?? ProcessInfo.processInfo.activeProcessorCount
    let started = ContinuousClock.now
    let verification = Verification(
      workers: threads, stores: config?.emptyStores ?? [:],
      configuration: try EngineConfiguration(limitsOf: config), scripts: history.tree)
    try history.reader.replay(into: verification.recovery, to: first - 1) { try verification.apply($0) }
    try history.visitViews(from: first, to: to ?? history.last) { try verification.check($0) }
    let verdict = verification.finish()
    let seconds = (ContinuousClock.now - started) / .seconds(1)
    let notes = verdict.difference == nil ? [] : try history.environmentNotes()
    if json {
      try sayJSON(verdict, first, notes)
    } else {
      say(verdict, first, notes, seconds, threads, limits: config?.file)
    }
    if verdict.difference != nil { throw ExitCode(1) }
  }

  private func sayJSON(_ verdict: Verification.Verdict, _ first: Int64, _ notes: [String]) throws {
    var fields: Value.Map = [
      "from": .int(first), "verified": .int(Int64(verdict.executed)), "applied": .int(Int64(verdict.applied)),
      "same": .bool(verdict.difference == nil),
    ]
    if let difference = verdict.difference {
      fields["seq"] = .int(difference.seq)
      fields["trigger"] = .string(difference.trigger)
      fields["reason"] = .string(difference.reason)
      fields["environment"] = .array(notes.map { .string($0) })
    }
    Output.json(.map(fields))
  }

  private func say(
    _ verdict: Verification.Verdict, _ first: Int64, _ notes: [String], _ seconds: Double, _ threads: Int,
    limits file: String?
  ) {
    if let difference = verdict.difference {
      Output.result("differs: \(difference)")
      for note in notes { Output.result("note: \(note)") }
      Output.result(
        "note: limits are not in the log; \(file.map { "those of \($0) were taken" } ?? "the usual ones were taken"); where others held, say --config"
      )
      return
    }
    if first > 1, from == nil { Output.result("The log begins later: verified from seq \(first) on.") }
    let rest =
      verdict.applied == 0
      ? "" : ", \(verdict.applied) applied only (deferred, skipped, killed, or of Swift triggers)"
    let workers = "\(threads) worker\(threads == 1 ? "" : "s")"
    let time = String(format: "%.2f s", seconds)
    Output.result("\(verdict.executed) seqs verified in \(time) by \(workers): all the same\(rest)")
  }
}
