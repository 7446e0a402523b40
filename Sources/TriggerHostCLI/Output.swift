import Foundation
import Synchronization

/// The terminal, or whatever stands in its place. Lines go out at once, also into a pipe: a host's output
/// is read while it runs. Any thread.
enum Output {
  /// The live line now on the terminal, redrawn below every other line.
  private static let live = Mutex("")

  /// Shows a live line in place of the one before; empty takes it away.
  static func status(_ text: String) {
    live.withLock { live in
      live = text
      write("\r\u{1b}[K" + text, to: .standardOutput)
    }
  }

  static func line(_ text: String, to file: FileHandle) {
    live.withLock { live in
      // Errors may go to a file while the live line is on the terminal.
      let isPlain = live.isEmpty || isatty(file.fileDescriptor) != 1
      write(isPlain ? text + "\n" : "\r\u{1b}[K\(text)\n\(live)", to: file)
    }
  }

  private static func write(_ text: String, to file: FileHandle) {
    // A reader that went away is no reason to stop a host.
    try? file.write(contentsOf: Data(text.utf8))
  }
}

func printLine(_ text: String) { Output.line(text, to: .standardOutput) }

/// Errors quote what was wrong, whatever that holds.
func printError(_ text: String) { Output.line(text.withoutControls, to: .standardError) }

extension String {
  /// For what scripts say, and with them strangers: control characters, which could rewrite a terminal, are
  /// spelt out.
  var withoutControls: String {
    func isControl(_ scalar: Unicode.Scalar) -> Bool {
      scalar.properties.generalCategory == .control && scalar != "\n" && scalar != "\t"
    }
    guard unicodeScalars.contains(where: isControl) else { return self }
    var result = ""
    for scalar in unicodeScalars {
      if isControl(scalar) {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
