import TriggerCore

/// An event that a commit admits, and the triggers that it makes operations for.
package struct EmittedEvent {
  package let kind: EventKind
  package let name: String
  /// Canonical encoding of the event.
  package let payload: [UInt8]
  package let triggers: [LoadedTrigger]
}

extension Router {
  /// All that a commit admits: what the attempt emits, in list order, then what triggers bound to commits get. Decided
  /// with the commit, so that the log can tell. O(intents + changed keys × patterns).
  ///
  /// - Parameter changed: the keys that it changed; none when no trigger is bound to commits.
  package func events(
    of attempt: Attempt, changed: [Committer.ChangedKey], seq: Int64, trigger: LoadedTrigger
  ) -> [EmittedEvent] {
    var events: [EmittedEvent] = []
    if attempt.writes.emits > 0 {
      for index in 0..<attempt.writes.count {
        let write = attempt.writes.writes[index]
        guard case .emit = write.action else { continue }
        let name = String(decoding: write.keyBytes, as: UTF8.self)
        events.append(
          EmittedEvent(
            kind: .event, name: name, payload: Array(write.operand), triggers: route(.event, name)))
      }
    }
    if !changed.isEmpty, !commitTriggers.isEmpty {
      // As a rule the worker has compared the keys with the patterns already.
      let heard =
        attempt.heard.flatMap { $0.bindings === commitBindings ? $0 : nil } ?? commitBindings.hear(changed)
      CommitEvents(seq: seq, source: trigger.name).forEach(of: heard, among: commitTriggers) {
        events.append(EmittedEvent(kind: .commit, name: "commit", payload: $1, triggers: [$0]))
      }
    }
    return events
  }
}

extension Operation {
  /// Counts what its commit admits among the operations that came of one cause.
  ///
  /// - Returns: how many operations these are.
  package func addOffspring(_ events: [EmittedEvent]) -> Int {
    let family = family ?? Family()
    self.family = family
    let count = events.reduce(0) { $0 + $1.triggers.count }
    family.count += count
    return count
  }
}
