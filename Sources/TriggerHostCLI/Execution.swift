import ArgumentParser
import TriggerCore
import TriggerHost
import TriggerReplay
import TriggerRuntime

/// What one run of a trigger came to, for people and for programs.
struct Execution {
  private let trigger: String
  private let outcome: Outcome
  /// Nothing of it is kept, whatever came of it.
  private let isTrial: Bool
  private let error: String?
  private let code: FailureCode?
  private let intents: [LogRecord.Intent]
  private let reads: [String]
  private let logs: [ExecutionLog]
  /// Log lines beyond.
  private let dropped: Int
  /// Where it ran: the seq of the state, or its own.
  private let place: (words: String, seq: Int64, field: String)?
  private let scripts: ScriptPlaces?

  /// - Parameters:
  ///   - seq: of the state in a data directory; nil: there is none.
  ///   - scripts: where they are; nil: in a log.
  init(_ trigger: String, _ result: Replayer.TrialResult, on seq: Int64?, scripts: ScriptPlaces?) {
    self.scripts = scripts
    (self.trigger, outcome, error, code) = (trigger, result.outcome, result.error, result.code)
    intents = result.intents
    (reads, logs, isTrial) = (result.reads, result.logs, true)
    dropped = result.logLinesDropped
    place = seq.map { ("on the state after seq", $0, "at") }
  }

  /// One that is in a log.
  init(_ record: LogRecord, logs: [ExecutionLog], dropped: Int, scripts: ScriptPlaces) {
    self.dropped = dropped
    self.scripts = scripts
    (trigger, outcome, error, code) = (record.trigger, record.outcome, record.error, record.code)
    intents = record.intents
    (reads, self.logs, isTrial) = (record.reads, logs, false)
    place = ("as seq", record.seq, "seq")
  }

  func show(asJSON: Bool) throws {
    if asJSON { return Output.json(value) }
    for line in logs {
      Output.result("log    \(line.level): \(line.message)\(line.fieldsText)  (\(named(line.place)))")
    }
    if dropped > 0 {
      Output.result("log    … and \(grouped(dropped)) more \(dropped == 1 ? "line" : "lines") dropped")
    }
    for intent in intents {
      let target = ([intent.store] + [String(decoding: intent.key, as: UTF8.self)]).filter { !$0.isEmpty }
      let kind = intent.kind + String(repeating: " ", count: max(1, 7 - intent.kind.count))
      let content = intent.value.isEmpty ? "" : " = \(decoded(intent.value))"
      Output.result("\(kind)\(target.joined(separator: "/"))\(content)")
    }
    if let error { Output.problem(TerminalText(named(error))) }
    let noun = intents.count == 1 ? "intent" : "intents"
    let place = place.map { ", \($0.words) \($0.seq)" } ?? ""
    let verdict = isTrial && outcome == .committed ? "would commit" : "\(outcome)\(code.inBrackets)"
    Output.result("\(trigger): \(verdict), \(intents.count) \(noun)\(place)")
  }

  /// For people; programs get the paths of the log.
  private func named(_ text: String) -> String { scripts?.named(text) ?? text }

  private var value: Value {
    var fields: Value.Map = [
      "trigger": .string(trigger), "outcome": .string("\(outcome)"),
      "code": code.map { .string($0.rawValue) } ?? .null, "error": error.map { .string($0) } ?? .null,
      "intents": .array(intents.map(\.json)),
      "reads": .array(reads.map { .string($0) }),
      "log": .array(
        logs.map {
          var fields: Value.Map = [
            "level": .string($0.level), "message": .string($0.message), "place": .string($0.place),
          ]
          fields.add($0.fields ?? .null, as: "fields")
          return .map(fields)
        }),
    ]
    if dropped > 0 { fields["log_dropped"] = .int(Int64(dropped)) }
    if let place { fields[place.field] = .int(place.seq) }
    return .map(fields)
  }
}
