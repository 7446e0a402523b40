import Foundation
import HostConfig
import Logging
import Synchronization
import TriggerCore
import TriggerHost
import TriggerRuntime

/// The one way out of every command: results on standard output, all else on standard error. Lines go out at once, also
/// into a pipe: a host's output is read while it runs. Any thread.
///
/// A host's standard output has acknowledgements alone; what it says is a log with times and levels (`beginLog`).
enum Output {
  private struct Writers {
    var output: OutputWriter
    var errors: OutputWriter
  }
  /// Nil while who prints may wait.
  private static let writers = Mutex<Writers?>(nil)
  /// Nil: lines as they are.
  private static let logLines = Mutex<LogLines?>(nil)
  /// Without writers, one line at a time.
  private static let turn = Mutex(())

  /// How long the end of a process waits for a reader that does not read.
  private static let patience = Duration.seconds(1)
  /// And for one that reads slowly.
  private static let longest = Duration.seconds(2)

  // MARK: What is said

  /// A result, for people.
  static func result(_ text: TerminalText) { write(text.shown, to: STDOUT_FILENO) }

  /// A result, for programs.
  static func json(_ value: Value) { write(value.jsonText.withJSONEscapes, to: STDOUT_FILENO) }

  /// What was asked for as it is: a file, generated text.
  static func exact(_ text: String, terminator: String = "\n") {
    write(text, to: STDOUT_FILENO, terminator: terminator)
  }

  /// What is wrong or doubtful, and what a host does.
  static func say(_ entry: HostNotice) {
    guard let logLines = logLines.withLock({ $0 }) else {
      return write(entry.message.shown, to: STDERR_FILENO)
    }
    if !logLines.wants(entry.level) { return }
    write(logLines.text(of: entry, at: SystemClock().now()), to: STDERR_FILENO)
  }

  static func say(_ level: Logger.Level, _ message: TerminalText, _ fields: Value.Map = [:]) {
    say(HostNotice(level: level, message: message, fields: fields))
  }

  static func problem(_ message: TerminalText) { say(.error, message) }
  static func warning(_ message: TerminalText) { say(.warning, message) }

  /// About the command line itself: never part of a log.
  static func usage(_ message: TerminalText) { write(message.shown, to: STDERR_FILENO) }

  /// A line on standard output that is not left out: waits for room.
  static func acknowledgement(_ text: String) {
    guard let writers = writers.withLock({ $0 }) else { return write(text, to: STDOUT_FILENO) }
    writers.output.patientLine(text)
  }

  /// Shows a live line in place of the one before; empty takes it away.
  static func status(_ text: TerminalText) { writers.withLock { $0 }?.errors.status(text.shown) }

  private static func write(_ text: String, to descriptor: Int32, terminator: String = "\n") {
    if let writers = writers.withLock({ $0 }) {
      return (descriptor == STDERR_FILENO ? writers.errors : writers.output).line(text)
    }
    turn.withLock { _ in
      let file = descriptor == STDERR_FILENO ? FileHandle.standardError : .standardOutput
      // A reader that went away is no reason to stop.
      try? file.write(contentsOf: Data((text + terminator).utf8))
    }
  }

  // MARK: A host's

  /// From now on what is said is a log.
  static func beginLog(_ new: LogLines) { logLines.withLock { $0 = new } }

  /// From now on nobody waits who prints: for a process that has more to do than to print.
  static func beginWriters() {
    let output = OutputWriter(STDOUT_FILENO)
    // On one terminal there is one who writes: only so the live line stays below all others.
    let errors = isOneTerminal ? output : OutputWriter(STDERR_FILENO)
    for writer in [output, errors] { writer.noteLoss = noteLoss }
    writers.withLock { $0 = $0 ?? Writers(output: output, errors: errors) }
  }

  private static func noteLoss(_ count: Int) -> String {
    let entry = HostNotice(
      level: .warning, message: "(\(counted(count, "line")) left out here: nobody read them in time)",
      fields: ["left_out": .int(Int64(count))])
    return logLines.withLock { $0 }?.text(of: entry, at: SystemClock().now()) ?? entry.message.shown
  }

  private static var isOneTerminal: Bool {
    var (output, errors) = (stat(), stat())
    return isatty(STDOUT_FILENO) == 1 && isatty(STDERR_FILENO) == 1 && fstat(STDOUT_FILENO, &output) == 0
      && fstat(STDERR_FILENO, &errors) == 0 && output.st_rdev == errors.st_rdev
  }

  /// The log has a line that shows what goes on.
  static var hasLiveLine: Bool { logLines.withLock { $0 }?.hasLiveLine ?? false }

  // MARK: The end

  /// Lines that were left out so far, as nobody read them.
  static var lost: Int {
    guard let writers = writers.withLock({ $0 }) else { return 0 }
    return writers.output.lost + (writers.errors === writers.output ? 0 : writers.errors.lost)
  }

  /// Nothing waits for a reader of standard output.
  static var isFlushed: Bool { writers.withLock { $0 }?.output.isFlushed ?? true }

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

extension Output {
  static func say(_ finding: Finding) { say(HostNotice(finding)) }
}
