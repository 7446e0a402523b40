import ArgumentParser
import TriggerCore
import TriggerHost
import TriggerRuntime
import TriggerSQLite
import TriggerServer

/// `trigger-host dead list|show|requeue|drop`.
struct DeadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dead",
    abstract: "List operations that failed for good, put them back, or let them go.",
    discussion: """
      An operation fails for good when its trigger's retry has no try left; without retry, at once. Put back, it \
      is one operation for its trigger alone, caused by what failed: replay and why tell so. When it cannot run, \
      since its trigger is gone, it is on the list again. A host that runs meanwhile does it itself.

        trigger-host dead list --data data
        trigger-host dead show 1042 --data data
        trigger-host dead requeue 1042 1043 --data data
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
      let records = try DeadLetters(reader).records(.all(trigger: trigger))
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
      let record = try DeadLetters(try LogReader(path: kept.path())).records(.seqs([seq]))[0]
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
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
      if seqs.isEmpty == !all { throw ValidationError("Give seqs, or --all.") }
      if trigger != nil, !all { throw ValidationError("--trigger goes with --all.") }
    }

    /// By the host that has the directory, or here when there is none.
    func settle(as action: DeadMark) async throws {
      let (data, wanted) = (try kept.path(), all ? DeadSelection.all(trigger: trigger) : .seqs(Set(seqs)))
      let seqs: [Int64]
      if let host = await HostClient(data: data) {
        seqs = try await host.settle(wanted, as: action)
      } else {
        seqs = try Self.settle(wanted, as: action, in: data)
      }
      let letters = DeadLetters(try LogReader(path: data))
      if action == .requeued { try sayWhatIsGone(try seqs.compactMap { try letters.record($0) }) }
      if json {
        return Output.json(["action": .string(action.rawValue), "seqs": .array(seqs.map { .int($0) })])
      }
      Output.result("\(counted(seqs.count, "operation")) \(action.rawValue).")
    }

    private static func settle(
      _ wanted: DeadSelection, as action: DeadMark, in data: String
    ) throws -> [Int64] {
      // There is nothing in a directory that is not there, and opening it would make it.
      try LogReader(path: data).close()
      let directory = try DataDirectory(path: data)
      if let conversion = directory.conversion { Output.problem("warning: \(conversion)") }
      return try directory.settle(wanted, as: action).map(\.seq)
    }

    /// Triggers may come back before the operation runs.
    private func sayWhatIsGone(_ records: [LogRecord]) throws {
      let log = try History(kept.path())
      guard let number = try log.reader.scriptTrees().last?.identity.number, let tree = try log.tree(number)
      else { return }
      let known = Set(tree.triggers.map(\.name))
      for record in records where record.tree > 0 && !known.contains(record.trigger) {
        Output.problem(
          "warning: seq \(record.seq): no script of the newest tree is named '\(record.trigger)'; unless one is when it runs, it is skipped, and on the list again"
        )
      }
    }
  }

  struct Requeue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract:
        "Run them again: at once in a host that runs, or when one starts, with the scripts it has then.")
    @OptionGroup var selection: Selection
    func run() async throws { try await selection.settle(as: .requeued) }
  }

  struct Drop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take them off the list; the log still has them.")
    @OptionGroup var selection: Selection
    func run() async throws { try await selection.settle(as: .dropped) }
  }
}

extension HostClient {
  /// - Throws: `HostClientError` with what the host says.
  fileprivate func settle(_ wanted: DeadSelection, as action: DeadMark) async throws -> [Int64] {
    let answer = try await send(
      "POST", "/v1/dead/\(action == .requeued ? "requeue" : "drop")", wanted.json)
    guard case .array(let seqs)? = answer.json["seqs"], answer.status == 200 else {
      if case .int(let seq)? = answer.json["seq"], answer.code == "not_dead" { throw NotDead(seq: seq) }
      throw answer.refusal
    }
    return seqs.compactMap { if case .int(let seq) = $0 { seq } else { nil } }
  }
}

extension NotDead: ExpectedFailure {}
extension HostClientError: ExpectedFailure {}

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
