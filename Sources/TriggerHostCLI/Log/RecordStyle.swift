import Foundation
import TriggerCore
import TriggerHost

/// Records as people read them; with colours on a terminal.
struct RecordStyle {
  private let isColoured: Bool

  /// Colours unless the output is no terminal, or the user wants none (no-color.org).
  static var forStandardOutput: RecordStyle {
    let environment = ProcessInfo.processInfo.environment
    let isPlain = environment["NO_COLOR", default: ""] != "" || environment["TERM"] == "dumb"
    return RecordStyle(isColoured: isatty(STDOUT_FILENO) == 1 && !isPlain)
  }

  static let plain = RecordStyle(isColoured: false)

  private enum Colour: String {
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
    case yellow = "33"
  }

  private func paint(_ text: String, _ colour: Colour) -> String {
    isColoured ? "\u{1b}[\(colour.rawValue)m\(text)\u{1b}[0m" : text
  }

  /// The headline, then a line for each intent and one for an error.
  func text(of record: LogRecord) -> String {
    var text = headline(record) + "\n"
    for intent in record.intents { text += "    \(intent)\n" }
    if let error = record.error {
      text += "    \(paint(String(error.prefix { $0 != "\n" }), .red))\n"
    }
    return text
  }

  /// One line: seq, time, trigger, event, outcome.
  func headline(_ record: LogRecord) -> String {
    let colour: Colour =
      switch record.outcome {
      case .committed: .green
      case .failed: .red
      case .deferred, .skipped: .yellow
      }
    let time = paint("\(Timestamp(nanoseconds: record.admitted))", .dim)
    let event = "\(record.kind) \(record.event) \("\(decoded(record.payload))".cut(after: 100))"
    var text = "seq \(record.seq)  \(time)  \(paint(record.trigger, .bold))  \(event)  "
    text += paint("\(record.outcome)", colour)
    if record.identity != record.seq { text += "  first seq \(record.identity)" }
    if record.attempts > 1 { text += "  \(record.attempts) attempts" }
    if let failed = record.retryOf { text += "  try \(record.tries + 1) of seq \(failed)" }
    if record.tree > 0 { text += "  tree \(record.tree)" }
    return text
  }
}

extension LogRecord {
  var jsonLine: String { json.jsonText + "\n" }
}
