import TriggerCore
import TriggerHost
import TriggerRuntime

/// Records as people read them; with colours on a terminal.
struct RecordStyle {
  var paint = Paint()

  /// The headline, then a line for each intent and one for an error.
  func text(of record: LogRecord) -> TerminalText {
    var text: TerminalText = "\(headline(record))\n"
    for intent in record.intents { text += "    \(intent)\n" }
    if let error = record.error {
      text += "    \(paint.bad("\(error.prefix { $0 != "\n" })"))\n"
    }
    return text
  }

  /// One line: seq, time, trigger, event, outcome.
  func headline(_ record: LogRecord) -> TerminalText {
    let outcome =
      switch record.outcome {
      case .committed: paint.good("\(record.outcome)")
      case .failed: paint.bad("\(record.outcome)")
      case .deferred, .skipped: paint.doubtful("\(record.outcome)")
      }
    let time = paint.faint("\(Timestamp(nanoseconds: record.admitted))")
    let event = "\(record.kind) \(record.event) \("\(decoded(record.payload))".cut(after: 100))"
    var text: TerminalText =
      "seq \(record.seq)  \(time)  \(paint.strong("\(record.trigger)"))  \(event)  \(outcome)\(record.codeText)"
    if record.identity != record.seq { text += "  first seq \(record.identity)" }
    if record.attempts > 1 { text += "  \(record.attempts) attempts" }
    if let failed = record.retryOf {
      text += record.isRequeued ? "  seq \(failed) put back" : "  try \(record.tries + 1) of seq \(failed)"
    }
    if record.tree > 0 { text += "  tree \(record.tree)" }
    return text
  }
}
