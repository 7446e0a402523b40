import ArgumentParser
import TriggerCore
import TriggerHost

/// What one run of a trigger came to, for people and for programs.
struct Execution {
  private let trigger: String
  private let outcome: Outcome
  /// Nothing of it is kept, whatever came of it.
  private let isTrial: Bool
  private let error: String?
  private let intents: [LogRecord.Intent]
  private let reads: [String]
  private let logs: [ExecutionLog]
  /// Where it ran: the seq of the state, or its own.
  private let place: (words: String, seq: Int64, field: String)?
  private let scripts: ScriptPlaces?

  /// - Parameters:
  ///   - seq: of the state in a data directory; nil: there is none.
  ///   - scripts: where they are; nil: in a log.
  init(_ trigger: String, _ result: Replayer.TrialResult, on seq: Int64?, scripts: ScriptPlaces?) {
    self.scripts = scripts
    (self.trigger, outcome, error, intents) = (trigger, result.outcome, result.error, result.intents)
    (reads, logs, isTrial) = (result.reads, result.logs, true)
    place = seq.map { ("on the state after seq", $0, "at") }
  }

  /// One that is in a log.
  init(_ record: LogRecord, logs: [ExecutionLog], scripts: ScriptPlaces) {
    self.scripts = scripts
    (trigger, outcome, error, intents) = (record.trigger, record.outcome, record.error, record.intents)
    (reads, self.logs, isTrial) = (record.reads, logs, false)
    place = ("as seq", record.seq, "seq")
  }

  func show(asJSON: Bool) throws {
    if asJSON { return print(value.jsonText) }
    for line in logs {
      print("log    \(line.level): \(line.message)\(line.fieldsText)  (\(named(line.place)))")
    }
    for intent in intents {
      let target = ([intent.store] + [String(decoding: intent.key, as: UTF8.self)]).filter { !$0.isEmpty }
      let kind = intent.kind.padding(toLength: 7, withPad: " ", startingAt: 0)
      let content = intent.value.isEmpty ? "" : " = \(decoded(intent.value))"
      print("\(kind)\(target.joined(separator: "/"))\(content)")
    }
    if let error { printError(named(error)) }
    let noun = intents.count == 1 ? "intent" : "intents"
    let place = place.map { ", \($0.words) \($0.seq)" } ?? ""
    let verdict = isTrial && outcome == .committed ? "would commit" : "\(outcome)"
    print("\(trigger): \(verdict), \(intents.count) \(noun)\(place)")
  }

  /// For people; programs get the paths of the log.
  private func named(_ text: String) -> String { scripts?.named(text) ?? text }

  private var value: Value {
    var fields: Value.Map = [
      "trigger": .string(trigger), "outcome": .string("\(outcome)"),
      "error": error.map { .string($0) } ?? .null, "intents": .array(intents.map(\.json)),
      "reads": .array(reads.map { .string($0) }),
      "log": .array(
        logs.map {
          [
            "level": .string($0.level), "message": .string($0.message), "fields": $0.fields ?? .null,
            "place": .string($0.place),
          ]
        }),
    ]
    if let place { fields[place.field] = .int(place.seq) }
    return .map(fields)
  }
}
