import Foundation
import Logging
import TriggerCore
import TriggerHost
import TriggerRuntime

extension HostNotice {
  /// `[rsi 12.1] warning: message {"fields": 1}`. Nothing else of ours begins with a bracket.
  fileprivate var line: TerminalText {
    var text = TerminalText()
    if let origin { text += "[\(origin.trigger) \(origin.seq).\(origin.attempt)] " }
    if isScripts { text += "\(level.rawValue): " }
    text += message
    if isScripts, !fields.isEmpty { text += " \(Value.map(fields))" }
    return text
  }

  fileprivate func json(_ time: String) -> String {
    var object: Value.Map = isScripts ? [:] : fields
    object["time"] = .string(time)
    object["level"] = .string(level.rawValue)
    object["message"] = .string(message.plain)
    if let origin {
      object["trigger"] = .string(origin.trigger)
      object["seq"] = .int(origin.seq)
      object["attempt"] = .int(Int64(origin.attempt))
    }
    if let failure { object["code"] = .string(failure.rawValue) }
    if isScripts, !fields.isEmpty { object.add(.map(fields), as: "fields") }
    return Value.map(object).jsonText.withJSONEscapes
  }
}

/// How a host's log looks on standard error.
struct LogLines: Sendable {
  enum Format: String, CaseIterable, Sendable { case text, json }

  var format = Format.text
  /// Only warnings and errors.
  var isQuiet = false
  /// Of whom a person reads: short times, colours, a live line.
  let isTerminal = isatty(STDERR_FILENO) == 1

  var hasLiveLine: Bool { isTerminal && format == .text && !isQuiet }

  func wants(_ level: Logger.Level) -> Bool {
    !isQuiet || level >= .warning
  }

  /// Each line of an entry has its time.
  ///
  /// - Parameter now: nanoseconds since 1970.
  func text(of entry: HostNotice, at now: Int64) -> String {
    if format == .json { return entry.json(Self.instant(now)) }
    let paint = Paint(for: STDERR_FILENO)
    let time = isTerminal ? paint.faint("\(Self.localTime(now))") : "\(Self.instant(now))"
    var text = entry.line
    if entry.level == .error { text = paint.bad(text) }
    if entry.level == .warning { text = paint.doubtful(text) }
    return text.shown.split(separator: "\n", omittingEmptySubsequences: false)
      .map { "\(time.shown) \($0)" }.joined(separator: "\n")
  }

  /// `2026-11-24T10:30:00.250Z`
  private static func instant(_ now: Int64) -> String {
    let milliseconds = now - now % 1_000_000
    var text = "\(Timestamp(nanoseconds: milliseconds))"
    // Whole seconds are written without a fraction.
    if !text.contains(".") { text.replace("Z", with: ".000Z") }
    return text
  }

  /// `10:30:00.250`, by this machine's zone.
  private static func localTime(_ now: Int64) -> String {
    var (seconds, parts) = (time_t(now / 1_000_000_000), tm())
    localtime_r(&seconds, &parts)
    return String(
      format: "%02d:%02d:%02d.%03d", parts.tm_hour, parts.tm_min, parts.tm_sec,
      Int(now / 1_000_000 % 1000))
  }
}
