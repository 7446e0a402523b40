import Foundation
import Synchronization

/// The terminal, or whatever stands in its place. Lines go out at once, also into a pipe: a host's output
/// is read while it runs. Any thread.
enum Output {
  private struct Writers {
    var output: OutputWriter
    var errors: OutputWriter
  }
  /// Nil while who prints may wait.
  private static let writers = Mutex<Writers?>(nil)
  /// Without writers, one line at a time.
  private static let turn = Mutex(())

  /// How long the end of a process waits for a reader that does not read.
  private static let patience = Duration.seconds(1)
  /// And for one that reads slowly.
  private static let longest = Duration.seconds(2)

  /// From now on nobody waits who prints: for a process that has more to do than to print.
  static func beginWriters() {
    let output = OutputWriter(STDOUT_FILENO)
    // On one terminal there is one who writes: only so the live line stays below all others.
    let errors = isOneTerminal ? output : OutputWriter(STDERR_FILENO)
    writers.withLock { $0 = $0 ?? Writers(output: output, errors: errors) }
  }

  private static var isOneTerminal: Bool {
    var (output, errors) = (stat(), stat())
    return isatty(STDOUT_FILENO) == 1 && isatty(STDERR_FILENO) == 1 && fstat(STDOUT_FILENO, &output) == 0
      && fstat(STDERR_FILENO, &errors) == 0 && output.st_rdev == errors.st_rdev
  }

  /// Shows a live line in place of the one before; empty takes it away.
  static func status(_ text: String) { writers.withLock { $0 }?.output.status(text) }

  static func line(_ text: String, to file: FileHandle) {
    if let writers = writers.withLock({ $0 }) {
      return (file === FileHandle.standardError ? writers.errors : writers.output).line(text)
    }
    turn.withLock { _ in
      // A reader that went away is no reason to stop.
      try? file.write(contentsOf: Data((text + "\n").utf8))
    }
  }

  /// A line on standard output that is not left out: waits for room.
  static func acknowledgement(_ text: String) {
    guard let writers = writers.withLock({ $0 }) else { return line(text, to: .standardOutput) }
    writers.output.patientLine(text)
  }

  /// Lines that were left out so far, as nobody read them.
  static var lost: Int {
    guard let writers = writers.withLock({ $0 }) else { return 0 }
    return writers.output.lost + (writers.errors === writers.output ? 0 : writers.errors.lost)
  }

  /// Nothing waits for a reader.
  static var isFlushed: Bool {
    guard let writers = writers.withLock({ $0 }) else { return true }
    return writers.output.isFlushed && writers.errors.isFlushed
  }

  /// Writes what is left, as long as somebody reads. Call at the end of the process.
  ///
  /// - Parameter isUrgent: somebody waits for the end: a reader that takes little does not hold it up.
  static func flush(isUrgent: Bool = false) {
    guard let writers = writers.withLock({ $0 }) else { return }
    let longest = isUrgent ? longest : nil
    writers.output.flush(patience: patience, longest: longest)
    if writers.errors !== writers.output { writers.errors.flush(patience: patience, longest: longest) }
  }

  /// Ends the process, whoever reads or does not.
  static func endProcess(_ code: Int32) -> Never {
    flush(isUrgent: true)
    // Not `exit`: what it calls could wait for a stream that somebody is stuck in.
    _exit(code)
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
