/// Errors of two versions of a script.
enum ErrorText {
  /// Whether they say the same, wherever in the file they say it: the first lines are equal but for the
  /// numbers of lines.
  static func isSame(_ left: String, _ right: String) -> Bool { message(left) == message(right) }

  /// The first line, without the numbers in `file.lua:12:`.
  static func message(_ error: String) -> String {
    let line = error.prefix { $0 != "\n" }
    let parts = line.split(separator: ".lua:", omittingEmptySubsequences: false)
    let rest = parts.dropFirst().map { $0.drop { $0.isASCII && $0.isNumber } }
    return ([parts[0]] + rest).joined(separator: ".lua:")
  }
}
