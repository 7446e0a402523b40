import ArgumentParser
import TriggerCore
import TriggerHost

/// Which records of a log.
struct LogFilter: ParsableArguments {
  @OptionGroup var kept: KeptData
  @Option(help: "The first seq.") var from: Int64?
  @Option(help: "The last seq.") var to: Int64?
  @Option(help: "Only this trigger.") var trigger: String?
  @Option(help: "Only events of this name; * and ** as in a script's on.") var event: String?
  @Option(help: "Only records that changed this store.") var store: String?
  @Option(help: "Only records that changed this key.") var key: String?
  @Option(help: "Only this outcome: committed, failed, deferred or skipped.") var outcome: String?
  @Option(
    help: "Only what was admitted since: a time like 2026-01-31T08:00:00Z, or a span before now like 2h.")
  var since: String?
  @Option(help: "Only what was admitted until then: a time or a span before now.") var until: String?
  @Option(help: "At most so many records.") var limit: Int?

  func validate() throws {
    _ = try Self.outcome(outcome)
    _ = try Self.time(since, "--since")
    _ = try Self.time(until, "--until")
    if let limit, limit < 1 { throw ValidationError("--limit counts from 1, got \(limit)") }
    for seq in [from, to] { if let seq, seq < 1 { throw ValidationError("seqs count from 1, got \(seq)") } }
    if let from, let to, from > to { throw ValidationError("--from \(from) comes after --to \(to)") }
  }

  private static func outcome(_ text: String?) throws -> Outcome? {
    guard let text else { return nil }
    if let outcome = Outcome.allCases.first(where: { "\($0)" == text }) { return outcome }
    let names = Outcome.allCases.map { "\($0)" }
    throw ValidationError(
      "--outcome is one of \(names.joined(separator: ", ")), got '\(text)'\(Suggestion.clause(for: text, among: names))"
    )
  }

  /// Nanoseconds since 1970.
  private static func time(_ text: String?, _ option: String) throws -> Int64? {
    guard let text else { return nil }
    if let span = try? TimeSpan.parse(text) {
      let (seconds, attoseconds) = span.components
      return SystemClock().now() - (seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
    do { return try Timestamp(parsing: text).nanoseconds } catch {
      // What begins like a date is meant to be one.
      let reason = text.first?.isNumber == true && text.contains("-") ? ": \(error)" : ""
      throw ValidationError(
        "\(option) is a time like 2026-01-31T08:00:00Z or a span before now like 2h or 30m, got '\(text)'\(reason)"
      )
    }
  }

  /// The filter with its words understood.
  func compiled() throws -> Compiled {
    Compiled(
      filter: self, outcome: try Self.outcome(outcome), since: try Self.time(since, "--since") ?? .min,
      until: try Self.time(until, "--until") ?? .max,
      event: event.map { EventPattern(.event, $0) })
  }

  struct Compiled {
    fileprivate var filter: LogFilter
    fileprivate var outcome: Outcome?
    fileprivate var since: Int64
    fileprivate var until: Int64
    fileprivate var event: EventPattern?

    /// The whole record when it passes.
    func pass(_ view: RecordView) throws -> LogRecord? {
      if let outcome, view.outcome != outcome { return nil }
      if view.admitted < since || view.admitted > until { return nil }
      if let trigger = filter.trigger, !view.trigger.elementsEqual(trigger.utf8) { return nil }
      let record = try LogRecord(view)
      if let event, !event.matches(record.event) { return nil }
      guard filter.store != nil || filter.key != nil else { return record }
      return record.intents.contains { $0.changes(store: filter.store, key: filter.key) } ? record : nil
    }
  }
}
