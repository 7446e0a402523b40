import TriggerCore
import TriggerHost

/// The value of a canonical encoding; null when there is none.
func decoded(_ bytes: [UInt8]) -> Value { Value(encoded: bytes) }

/// A value's text, cut after a while.
func shortened(_ value: Value) -> String { "\(value)".cut(after: 200) }

extension Value {
  /// JSON. What has no JSON form becomes the text that people see.
  var jsonText: String { (try? JSON.text(self)) ?? "\(Value.string("\(self)"))" }
}

extension String {
  /// At most so many characters; three points say that there is more.
  func cut(after count: Int) -> String { self.count <= count ? self : prefix(count) + "..." }
}

extension LogRecord.Intent {
  /// One line.
  var short: String { "\(self)".cut(after: 200) }
}

extension FailureCode? {
  /// Behind an outcome, for people: ` (timeout)`; nothing where there is no code.
  var inBrackets: String { map { " (\($0.rawValue))" } ?? "" }
}

extension LogRecord {
  /// The word for why, behind an outcome: ` (timeout)`; nothing where there is none.
  var codeText: String { code.inBrackets }
}
