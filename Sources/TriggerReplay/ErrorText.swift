import TriggerCore
import TriggerHost

/// Errors that two versions of a script raise.
enum ErrorText {
  /// Whether an execution fails as a record says. What a script says itself counts, wherever in the file it says it: the
  /// first lines are equal but for the numbers of lines. Of all else only the code does.
  static func isSame(_ now: Failure?, _ then: RecordView) -> Bool {
    if let code = then.code, now?.code != code { return false }
    if then.code != nil, then.code != .error { return true }
    return message(now?.message ?? "") == message(then.error?.utf8Text ?? "")
  }

  /// The first line, without the numbers in `file.lua:12:`.
  static func message(_ error: String) -> String {
    let line = error.prefix { $0 != "\n" }
    let parts = line.split(separator: ".lua:", omittingEmptySubsequences: false)
    let rest = parts.dropFirst().map { $0.drop { $0.isASCII && $0.isNumber } }
    return ([parts[0]] + rest).joined(separator: ".lua:")
  }
}
