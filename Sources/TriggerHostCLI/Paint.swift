import Foundation
import TriggerRuntime

/// Colours for a terminal; nothing where output goes into a file or a pipe, or NO_COLOR is set.
struct Paint {
  private let isOn: Bool

  /// Never a colour.
  static let none = Paint(isOn: false)

  private init(isOn: Bool) { self.isOn = isOn }

  init(for descriptor: Int32 = STDOUT_FILENO) {
    let environment = ProcessInfo.processInfo.environment
    // no-color.org: set, and not empty.
    let isWanted = (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    isOn = isWanted && isatty(descriptor) == 1
  }

  func good(_ text: TerminalText) -> TerminalText { code(32, text) }
  func bad(_ text: TerminalText) -> TerminalText { code(31, text) }
  func doubtful(_ text: TerminalText) -> TerminalText { code(33, text) }
  func faint(_ text: TerminalText) -> TerminalText { code(2, text) }
  func strong(_ text: TerminalText) -> TerminalText { code(1, text) }

  private func code(_ number: Int, _ text: TerminalText) -> TerminalText {
    isOn ? text.styled("\u{1b}[\(number)m", "\u{1b}[0m") : text
  }
}
