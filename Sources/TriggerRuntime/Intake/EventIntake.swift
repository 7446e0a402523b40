import TriggerCore
import TriggerHost

/// What the sender of an event is told, once.
package enum EventAnswer: Sendable {
  /// It is sure to be run, whatever happens.
  case accepted(EventID)
  /// All its operations are decided and durable. `hint`: why there is none, perhaps.
  case decided(EventID, [OperationResult], hint: String?)

  /// `event_id`, and `accepted` or `results` with `hint`: JSON that every surface shows alike.
  package var fields: Value.Map {
    switch self {
    case .accepted(let id): return ["event_id": .string("\(id)"), "accepted": true]
    case .decided(let id, let results, let hint):
      var fields: Value.Map = [
        "event_id": .string("\(id)"), "results": .array(results.map(\.json)),
      ]
      if let hint { fields["hint"] = .string(hint) }
      return fields
    }
  }
}

extension OperationResult {
  /// `trigger`, `seq`, `outcome`, and where there is one `instead`, `code`, `error`, `retry_at`.
  package var json: Value {
    var fields: Value.Map = [
      "trigger": .string(trigger), "seq": .int(seq), "outcome": .string("\(outcome)"),
    ]
    if let instead { fields["instead"] = .string("\(instead)") }
    if let failure {
      fields["code"] = .string(failure.code.rawValue)
      fields["error"] = .string(failure.message)
    }
    if let retryAt { fields["retry_at"] = .string("\(Timestamp(nanoseconds: retryAt))") }
    return .map(fields)
  }
}

/// Where events of senders that wait for an answer come in, whatever brings them. Any thread.
package struct EventIntake: Sendable {
  package let queue: TriggerQueue
  private let scripts: HostScripts

  package init(_ host: RunningHost) { (queue, scripts) = (host.queue, host.scripts) }

  /// True when nothing more is taken, ever: the host ends, or its log has failed.
  package var isOver: Bool { queue.failure != nil || queue.isStopped }

  /// Admits an event without waiting; false when there is no room, or nothing more is taken.
  ///
  /// - Parameters:
  ///   - event: `isKept` says that its sender waits for that, and not for what it comes to.
  ///   - key: the sender's; nil: it does not send the event again.
  ///   - scope: whose keys these are.
  ///   - tellsAll: of an event that `isKept` both is told: that it is sure to run, and what it comes to.
  ///   - tell: called once when true was returned, where outcomes are told: it must do next to nothing. Never, when the
  ///     host ends before the event is decided.
  /// - Throws: `KeyReused`, `KeysFull`, what the disk says. Nothing is run then.
  package func offer(
    _ event: Event, scope: String, key: String?, tellsAll: Bool = false,
    tell: @escaping @Sendable (EventAnswer) -> Void
  ) throws -> Bool {
    var event = event
    let id = event.id ?? queue.makeEventID()
    event.id = id
    // One answer, or two: when it is accepted, and when it is decided.
    let (isAccepted, kind, name) = (event.isKept, event.kind, event.name)
    let whenKept: @Sendable (EventID) -> Void = { if isAccepted { tell(.accepted($0)) } }
    let whenDecided: @Sendable (EventID, [OperationResult]) -> Void = { [scripts] id, results in
      if isAccepted, !tellsAll { return }
      tell(.decided(id, results, hint: results.isEmpty ? scripts.hint(for: kind, name) : nil))
    }
    if let key {
      return try queue.offer(event, scope: scope, key: key, keeping: whenKept, telling: whenDecided) != nil
    }
    let receipt = Receipt { whenDecided(id, $0) }
    let count = queue.offer(telling: { receipt.add($0) }, event, keeping: { whenKept(id) })
    guard let count else { return false }
    receipt.expect(count)
    return true
  }
}
