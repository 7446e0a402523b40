/// Text for people. What is put into it comes from scripts, events and files, and with them from strangers: it can
/// neither steer a terminal nor pass for a line of ours. Control characters are spelt out, and further lines are marked:
///
///     Output.result("\(trigger): \(error)")
///
/// Literals are ours and stay as they are.
package struct TerminalText: ExpressibleByStringInterpolation, Sendable {
  /// Before each line of a text after its first.
  package static let mark = "  | "

  /// As people see it.
  package private(set) var shown: String
  /// As it was given, without colours: for programs.
  package private(set) var plain: String

  package init() { (shown, plain) = ("", "") }

  package init(stringLiteral text: String) { (shown, plain) = (text, text) }

  package init(stringInterpolation parts: StringInterpolation) { self = parts.text }

  /// Text from elsewhere.
  package init(_ text: String) { (shown, plain) = (text.escaped(marking: true), text) }

  /// Text of ours with lines of its own, in which control characters are still spelt out: help, tables.
  package init(lines text: String) { (shown, plain) = (text.escaped(marking: false), text) }

  private init(shown: String, plain: String) { (self.shown, self.plain) = (shown, plain) }

  package struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var text = TerminalText()

    package init(literalCapacity: Int, interpolationCount: Int) {}

    package mutating func appendLiteral(_ literal: String) { text += TerminalText(stringLiteral: literal) }
    package mutating func appendInterpolation(_ part: TerminalText) { text += part }
    package mutating func appendInterpolation<Part>(_ part: Part) {
      text += TerminalText(String(describing: part))
    }
  }

  package static func += (left: inout TerminalText, right: TerminalText) {
    left.shown += right.shown
    left.plain += right.plain
  }

  package static func + (left: TerminalText, right: TerminalText) -> TerminalText {
    var sum = left
    sum += right
    return sum
  }

  /// Control sequences of ours around it.
  package func styled(_ begin: String, _ end: String) -> TerminalText {
    TerminalText(shown: begin + shown + end, plain: plain)
  }
}

extension Sequence<TerminalText> {
  package func joined(separator: TerminalText) -> TerminalText {
    var (all, isFirst) = (TerminalText(), true)
    for text in self {
      if !isFirst { all += separator }
      all += text
      isFirst = false
    }
    return all
  }
}

extension String {
  /// With control characters spelt out, `\u{1b}`, but for tabs and ends of lines.
  ///
  /// - Parameter marking: whether lines after the first are marked.
  fileprivate func escaped(marking: Bool) -> String {
    // Nearly all are plain.
    guard utf8.contains(where: { $0 < 0x20 || $0 >= 0x7f }) else { return self }
    var result = ""
    for scalar in unicodeScalars {
      if scalar == "\n" {
        result += marking ? "\n" + TerminalText.mark : "\n"
      } else if scalar != "\t", scalar.steersTerminals {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// JSON text of the same value, in which nothing steers a terminal: JSON itself leaves DEL, C1 and what changes
  /// the direction of writing as they are.
  package var withJSONEscapes: String {
    guard utf8.contains(where: { $0 >= 0x7f }), unicodeScalars.contains(where: \.steersTerminals) else {
      return self
    }
    var result = ""
    for scalar in unicodeScalars {
      if scalar.value >= 0x7f, scalar.steersTerminals {
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

extension UnicodeScalar {
  /// C0, DEL, C1, ends of lines and paragraphs, and what changes the direction of writing. All are below U+10000.
  fileprivate var steersTerminals: Bool {
    if value < 0x7f { return value < 0x20 }
    if value < 0x600 { return value < 0xa0 }
    switch properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: return true
    default: return properties.isBidiControl
    }
  }
}
