import HostConfig
import Logging
import TriggerCore
import TriggerHost

/// One thing that a host says while it opens, runs and ends.
///
/// The text is for people and may be reworded. A program that acts on what is said goes by `code`.
public struct HostNotice: Sendable {
  /// What a notice is about.
  public enum Code: String, Sendable, Hashable, CaseIterable {
    /// A script has logged a line.
    case log
    /// An operation has failed; `HostNotice.failure` says why in a word.
    case failure
    /// Something is wrong or doubtful in a file that a person wrote.
    case finding
    /// The data directory is open and its state is there.
    case recovered
    /// Something in the data directory is damaged or lost, and the host goes on.
    case damage
    /// The data directory was of an older format: it is converted, and older versions refuse it from now on.
    case converted
    /// A script tree came into force; `fields` has its `seq` and, when it is kept, its `tree`.
    case scriptsInForce = "scripts_in_force"
    /// Scripts were saved, and those before stay in force.
    case scriptsRefused = "scripts_refused"
    /// Somebody asked for a look at the scripts, and they are as they were.
    case scriptsUnchanged = "scripts_unchanged"
    /// Schedules came into force; `fields` has the `seq`.
    case schedulesInForce = "schedules_in_force"
    /// Schedules were saved, and those before stay in force.
    case schedulesRefused = "schedules_refused"
    /// Somebody asked for a look at the schedules, and they are as they were.
    case schedulesUnchanged = "schedules_unchanged"
    /// The configuration has changed in a way that needs a start.
    case needsStart = "needs_start"
    /// A schedule has missed a fire, is late, or names nothing.
    case schedule
    /// A feed cannot read a row.
    case row
    /// The files of a store have changed outside, or cannot be followed.
    case files
    /// What the log, its checkpoints or a store's table have to say.
    case storage
    /// An event reaches no trigger.
    case unheard
    /// A receiver of effects has not taken them.
    case receiver
    /// Somebody has set the wall clock.
    case clock
    /// An attempt could not be ended, or that is over.
    case stuck
    /// The log can take no more records: the host takes no event any more.
    case logFailed = "log_failed"
    /// Lines that were left out.
    case dropped
    /// A part did not end within its time.
    case late
    /// Whatever else.
    case note
  }

  /// Where something of a trigger came from.
  public struct Origin: Sendable, Hashable {
    /// The trigger's name.
    public var trigger: String
    /// The operation's place in the order.
    public var seq: Int64
    /// The attempt that counts, from 1.
    public var attempt: Int

    package init(trigger: String, seq: Int64, attempt: Int) {
      self.trigger = trigger
      self.seq = seq
      self.attempt = attempt
    }
  }

  /// What it is about.
  public var code: Code
  /// How serious it is.
  public var level: Logger.Level
  package var message: TerminalText
  /// The trigger that it is about, if there is one.
  public var origin: Origin?
  /// Why the operation has failed, where that is what it is about.
  public var failure: FailureCode?
  /// What `ctx:log` was given beside the message; what the host knows beside it.
  public var fields: Value.Map

  /// The text as it is. It may hold what scripts, events and files hold, and with them strangers: mind where you print
  /// it.
  public var text: String { message.plain }

  /// The script said it, by `print` or `ctx:log`; else the host does.
  public var isScripts: Bool { code == .log }

  package init(
    _ code: Code = .note, level: Logger.Level, message: TerminalText, origin: Origin? = nil,
    fields: Value.Map = [:]
  ) {
    self.code = code
    self.level = level
    self.message = message
    self.origin = origin
    self.fields = fields
  }

  package init(_ finding: Finding) {
    var fields: Value.Map = ["file": .string(finding.file)]
    if let line = finding.line { fields["line"] = .int(Int64(line)) }
    let level: Logger.Level =
      switch finding.severity {
      case .error: .error
      case .warning: .warning
      case .note: .info
      }
    self.init(.finding, level: level, message: TerminalText(finding.text), fields: fields)
  }
}

extension HostNotice {
  /// Logs it, with its code and what else is known as metadata.
  public func log(to logger: Logger) {
    var metadata: Logger.Metadata = ["code": "\(code.rawValue)"]
    if let origin {
      metadata["trigger"] = "\(origin.trigger)"
      metadata["seq"] = "\(origin.seq)"
      metadata["attempt"] = "\(origin.attempt)"
    }
    if let failure { metadata["failure"] = "\(failure.rawValue)" }
    // What a script names could pass for what the host says.
    if isScripts {
      if !fields.isEmpty { metadata["fields"] = "\(Value.map(fields))" }
    } else {
      for (name, value) in fields { metadata[name] = "\(value)" }
    }
    logger.log(level: level, "\(text)", metadata: metadata)
  }
}

/// Who is told what a host says. Called on whatever thread says it, one call beside another, so it must return soon.
public typealias HostObserver = @Sendable (HostNotice) -> Void

/// The mouth of a host's parts.
package struct Notices: Sendable {
  private let observer: HostObserver

  package init(_ observer: @escaping HostObserver) { self.observer = observer }

  package func say(_ notice: HostNotice) { observer(notice) }

  package func say(
    _ level: Logger.Level, _ message: TerminalText, _ fields: Value.Map = [:], code: HostNotice.Code = .note
  ) {
    say(HostNotice(code, level: level, message: message, fields: fields))
  }

  package func say(_ finding: Finding) { say(HostNotice(finding)) }

  /// Says what is wrong.
  ///
  /// - Throws: `HostNotReady` when one is an error.
  package func report(_ report: ConfigReport) throws {
    for problem in report.sorted { say(Finding(problem)) }
    if !report.isGood { throw HostNotReady() }
  }

  package func problem(_ message: TerminalText, code: HostNotice.Code = .note) {
    say(.error, message, code: code)
  }

  package func warning(_ message: TerminalText, code: HostNotice.Code = .note) {
    say(.warning, message, code: code)
  }
}

/// A host cannot start; what it has said before tells why.
public struct HostNotReady: Error, Sendable, CustomStringConvertible {
  package init() {}

  /// For who has not read the notices.
  public var description: String { "the host cannot start: its notices say why" }
}

extension Logger.Level {
  package init(_ level: HostConfig.LogLevel) { self = Self(rawValue: level.rawValue) ?? .info }
}
