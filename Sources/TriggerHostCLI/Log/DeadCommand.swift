import ArgumentParser
import TriggerCore
import TriggerHost
import TriggerRuntime
import TriggerSQLite

/// `trigger-host dead list|show|requeue|drop`.
struct DeadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dead",
    abstract: "List operations that failed for good, put them back, or let them go.",
    discussion: """
      An operation fails for good when its trigger's retry has no try left; without retry, at once. Put back, it \
      is one operation for its trigger alone, caused by what failed: replay and why tell so. When it cannot run, \
      since its trigger is gone, it is on the list again.

        trigger-host dead list --data data
        trigger-host dead show 1042 --data data
        trigger-host dead requeue 1042 1043 --data data   # at the next start
        trigger-host dead drop --all --trigger rsi --data data
      """,
    subcommands: [List.self, Show.self, Requeue.self, Drop.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print a line for each, oldest first.")
    @OptionGroup var kept: KeptData
    @Option(help: "Only this trigger.") var trigger: String?
    @Flag(help: "Print JSON Lines.") var json = false

    func run() throws {
      let reader = try LogReader(path: kept.path())
      let records = try DeadLetters(reader).records(trigger: trigger)
      for record in records { json ? Output.json(record.deadJSON) : Output.result(record.deadLine) }
      if records.isEmpty, !json { Output.result("Nothing failed for good.") }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print all of one: event, error, traceback.")
    @Argument(help: "Its seq.") var seq: Int64
    @OptionGroup var kept: KeptData
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
      let record = try DeadLetters(try LogReader(path: kept.path())).records([seq])[0]
      if json { return Output.json(record.deadJSON) }
      Output.result(record.deadLine)
      Output.result("event \(record.deadEvent)")
      Output.result("\(record.error ?? "")")
    }
  }

  /// Which ones.
  struct Selection: ParsableArguments {
    @Argument(help: "Seqs, as `dead list` shows them.") var seqs: [Int64] = []
    @Flag(help: "All of them.") var all = false
    @Option(help: "With --all: only this trigger's.") var trigger: String?
    @OptionGroup var kept: KeptData

    func validate() throws {
      if seqs.isEmpty == !all { throw ValidationError("Give seqs, or --all.") }
      if trigger != nil, !all { throw ValidationError("--trigger goes with --all.") }
    }

    func mark(as action: DeadMark) throws {
      let letters = DeadLetters(try LogReader(path: kept.path()))
      let records = try all ? letters.records(trigger: trigger) : letters.records(seqs)
      if action == .requeued { try sayWhatIsGone(records) }
      let directory = try DataDirectory(path: kept.path())
      if let conversion = directory.conversion { Output.problem("warning: \(conversion)") }
      try directory.mark(dead: records, as: action)
      Output.result("\(counted(records.count, "operation")) \(action.rawValue).")
    }

    /// Triggers may come back before the start.
    private func sayWhatIsGone(_ records: [LogRecord]) throws {
      let log = try History(kept.path())
      guard let number = try log.reader.scriptTrees().last?.identity.number, let tree = try log.tree(number)
      else { return }
      let known = Set(tree.triggers.map(\.name))
      for record in records where record.tree > 0 && !known.contains(record.trigger) {
        Output.problem(
          "warning: seq \(record.seq): no script of the newest tree is named '\(record.trigger)'; unless one is when the host starts, it is skipped, and on the list again"
        )
      }
    }
  }

  struct Requeue: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Run them again when the host starts, with the scripts it has then. No host may be running.")
    @OptionGroup var selection: Selection
    func run() throws { try selection.mark(as: .requeued) }
  }

  struct Drop: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take them off the list; the log still has them. No host may be running.")
    @OptionGroup var selection: Selection
    func run() throws { try selection.mark(as: .dropped) }
  }
}

extension DeadLetters {
  fileprivate func records(trigger: String?) throws -> [LogRecord] {
    try seqs().compactMap { try record($0) }.filter { trigger == nil || $0.trigger == trigger }
  }

  /// - Throws: when one is not on the list.
  fileprivate func records(_ wanted: [Int64]) throws -> [LogRecord] {
    let known = Set(try seqs())
    // One that is named twice is one.
    return try Set(wanted).sorted().map { seq in
      guard known.contains(seq), let record = try record(seq) else {
        Output.problem("seq \(seq) is not among those that failed for good; see trigger-host dead list")
        throw ExitCode(1)
      }
      return record
    }
  }
}

extension LogRecord {
  fileprivate var deadEvent: String {
    "\(kind) \(event) \(decoded(payload))"
  }

  fileprivate var deadLine: TerminalText {
    let first = error?.split(separator: "\n").first ?? ""
    let end =
      outcome == .skipped && error == nil
      ? "skipped: its trigger was gone" : "\(outcome)\(codeText)  \(first)"
    let count = tries > 0 ? "  try \(tries + 1)" : isRequeued ? "  seq \(retryOf!) put back" : ""
    return "seq \(seq)  \(Timestamp(nanoseconds: admitted))  \(trigger)\(count)  \(end)"
  }

  fileprivate var deadJSON: Value {
    var fields: Value.Map = [
      "seq": .int(seq), "trigger": .string(trigger), "kind": .string("\(kind)"), "event": .string(event),
      "admitted": .string("\(Timestamp(nanoseconds: admitted))"), "tries": .int(Int64(tries + 1)),
      "retry_of": retryOf.map { .int($0) } ?? .null, "code": code.map { .string($0.rawValue) } ?? .null,
      "error": error.map { .string($0) } ?? .null,
    ]
    fields.add(decoded(payload), as: "payload")
    return .map(fields)
  }
}
