import TriggerCore
import TriggerHost
import TriggerReplay
import TriggerRuntime

/// Where a what-if is told, as it goes.
protocol WhatIfOutput: AnyObject {
  /// Keys that differ at the end.
  var differingKeys: Int { get }
  func begin(scripts: String) throws
  func add(_ difference: WhatIf.Difference) throws
  /// - Parameter visit: goes through the keys that differ.
  func end(
    _ summary: WhatIf.Summary, visit: ((WhatIf.StateDifference) throws -> Void) throws -> Void
  ) throws
}

/// For people: the first differences, totals, the first keys.
final class WhatIfText: WhatIfOutput {
  private(set) var differingKeys = 0
  private let limit: Int
  private var count = 0
  private let out = LineWriter.standardOutput

  private let scripts: ScriptPlaces

  /// - Parameter scripts: where the other scripts are.
  init(limit: Int, scripts: ScriptPlaces) { (self.limit, self.scripts) = (limit, scripts) }

  func begin(scripts: String) throws {}

  func add(_ difference: WhatIf.Difference) throws {
    count += 1
    if count > limit { return }
    let event = "\(difference.eventKind) \(difference.event) \(shortened(decoded(difference.payload)))"
    try out.put("seq \(difference.seq)  \(difference.trigger)  \(difference.kind)  \(event)\n")
    if let old = difference.old { try put("was", old) }
    if var new = difference.new {
      new.error = new.error.map(scripts.named)
      try put("now", new)
    }
    if let reason = difference.reason { try out.put("    now  \(reason)\n") }
  }

  private func put(_ word: String, _ result: WhatIf.Result) throws {
    let error = result.error.map { ": \($0.prefix { $0 != "\n" })" } ?? ""
    let nothing = result.outcome == .committed && result.intents.isEmpty ? ", changes nothing" : ""
    try out.put("    \(word)  \(result.outcome)\(error)\(nothing)\n")
    for intent in result.intents { try out.put("           \(intent.short)\n") }
  }

  func end(
    _ summary: WhatIf.Summary, visit: ((WhatIf.StateDifference) throws -> Void) throws -> Void
  ) throws {
    if count > limit { try out.put("... and \(count - limit) more (--all prints them)\n") }
    if count > 0 { try out.put("\n") }
    for line in totals(summary) { try out.put("\(line)\n") }
    var keys: [TerminalText] = []
    try visit { difference in
      differingKeys += 1
      if differingKeys <= limit { keys.append(text(of: difference)) }
    }
    let noun = differingKeys == 1 ? "key differs" : "keys differ"
    try out.put("final state: \(differingKeys == 0 ? "the same" : "\(differingKeys) \(noun)")\n")
    for key in keys { try out.put(key) }
    if differingKeys > limit { try out.put("  ... and \(differingKeys - limit) more (--all prints them)\n") }
    try out.flush()
  }

  private func text(of difference: WhatIf.StateDifference) -> TerminalText {
    let old = difference.old.map(shortened) ?? "nothing"
    let new = difference.new.map(shortened) ?? "nothing"
    return "  \(difference.store)/\(difference.key)\n    was  \(old)\n    now  \(new)\n"
  }

  private func failing(_ summary: WhatIf.Summary) -> String {
    switch summary.failedAnew {
    case 0: "fail now as before"
    case summary.failed: "fail now that did not"
    default: "fail now, \(summary.failedAnew) of them did not before"
    }
  }

  private func totals(_ summary: WhatIf.Summary) -> [String] {
    guard summary.last > 0 else { return ["there are no seqs in the range"] }
    var lines = [
      "seqs \(summary.first) to \(summary.last): \(summary.outside) operations from outside; "
        + "\(summary.same) the same, \(summary.changed) changed, \(summary.gone) gone, \(summary.new) new"
    ]
    let rest = [
      (summary.failed, failing(summary)), (summary.mended, "fail no more"),
      (summary.kept, "kept as recorded (Swift triggers, new scripts)"),
      (summary.skipped, "skipped as recorded"), (summary.undecided, "undecided at the end"),
    ]
    let others = rest.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
    if !others.isEmpty { lines.append(others.joined(separator: ", ")) }
    for (name, count) in summary.missingTargets.sorted(by: { $0.key < $1.key }) {
      lines.append("no trigger '\(name)' for what was sent to it by name, \(count) times")
    }
    lines.append(
      summary.firstDifference.map { "first difference at seq \($0)" } ?? "every operation ends as recorded")
    return lines
  }
}

/// One JSON object, written as it goes: `differences`, `omitted`, `summary`, `state`.
final class WhatIfJSON: WhatIfOutput {
  private(set) var differingKeys = 0
  private let limit: Int
  private var count = 0
  private let out = LineWriter.standardOutput

  init(limit: Int) { self.limit = limit }

  func begin(scripts: String) throws {
    try out.exact("{\"scripts\":\(Value.string(scripts).jsonText.withJSONEscapes),\"differences\":[")
  }

  func add(_ difference: WhatIf.Difference) throws {
    count += 1
    if count > limit { return }
    var fields: Value.Map = [
      "kind": .string(difference.kind.rawValue), "seq": .int(difference.seq),
      "trigger": .string(difference.trigger), "event_kind": .string("\(difference.eventKind)"),
      "event": .string(difference.event),
    ]
    fields.add(decoded(difference.payload), as: "payload")
    if let recorded = difference.recordedPayload { fields.add(decoded(recorded), as: "payload_was") }
    if let old = difference.old { fields["was"] = json(old) }
    if let new = difference.new { fields["now"] = json(new) }
    if let reason = difference.reason { fields["reason"] = .string(reason) }
    try out.exact((count == 1 ? "" : ",") + Value.map(fields).jsonText.withJSONEscapes)
  }

  private func json(_ result: WhatIf.Result) -> Value {
    var fields: Value.Map = [
      "outcome": .string("\(result.outcome)"), "intents": .array(result.intents.map(\.json)),
    ]
    if let code = result.code { fields["code"] = .string(code.rawValue) }
    if let error = result.error { fields["error"] = .string(error) }
    return .map(fields)
  }

  func end(
    _ summary: WhatIf.Summary, visit: ((WhatIf.StateDifference) throws -> Void) throws -> Void
  ) throws {
    try out.exact("],\"omitted\":\(max(0, count - limit)),\"summary\":\(json(summary).jsonText)")
    try out.exact(",\"state\":{\"keys\":[")
    try visit { difference in
      differingKeys += 1
      if differingKeys > limit { return }
      var fields: Value.Map = ["store": .string(difference.store), "key": .string(difference.key)]
      if let old = difference.old { fields.add(old, as: "was") }
      if let new = difference.new { fields.add(new, as: "now") }
      try out.exact((differingKeys == 1 ? "" : ",") + Value.map(fields).jsonText.withJSONEscapes)
    }
    try out.exact("],\"differing\":\(differingKeys),\"omitted\":\(max(0, differingKeys - limit))}}\n")
    try out.flush()
  }

  private func json(_ summary: WhatIf.Summary) -> Value {
    func number(_ count: Int) -> Value { .int(Int64(count)) }
    return [
      "from": .int(summary.first), "to": .int(summary.last), "outside": number(summary.outside),
      "same": number(summary.same), "changed": number(summary.changed), "gone": number(summary.gone),
      "new": number(summary.new), "failed": number(summary.failed),
      "failed_anew": number(summary.failedAnew), "mended": number(summary.mended),
      "kept": number(summary.kept),
      "skipped": number(summary.skipped), "undecided": number(summary.undecided),
      "first_difference": summary.firstDifference.map { .int($0) } ?? .null,
      "missing_targets": .map(Value.Map(summary.missingTargets.mapValues(number))),
    ]
  }
}
