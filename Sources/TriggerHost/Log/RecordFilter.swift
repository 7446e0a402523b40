import TriggerCore

/// Which records somebody wants. Without a condition: all.
package struct RecordFilter: Sendable, Hashable {
  package var trigger: String?
  package var outcome: Outcome?
  package var kind: EventKind?
  /// Those that changed it.
  package var store: String?
  /// Those that changed it, or replaced the store.
  package var key: String?
  /// Those that changed a key that begins so, or replaced the store.
  package var prefix: String?
  /// Those that said something to it.
  package var topic: String?

  package init() {}

  /// Copies nothing. O(intents) when a store or a topic is wanted.
  package func passes(_ record: RecordView) throws(LogDamage) -> Bool {
    guard passes(record.outcome, record.kind, record.trigger) else { return false }
    var missing = Missing(self)
    if missing.isNothing { return true }
    var reader = CBORReader(record.intents)
    for _ in 0..<(try reader.array()) {
      let intent = try LogCoding.intent(&reader)
      missing.look(for: self, intent.action, intent.key) { $0.elementsEqual($1.utf8) }
      if missing.isNothing { return true }
    }
    return false
  }

  /// The same.
  package func passes(_ record: LogRecord) -> Bool {
    guard passes(record.outcome, record.kind, record.trigger.utf8) else { return false }
    var missing = Missing(self)
    for intent in record.intents where !missing.isNothing {
      missing.look(for: self, intent.action, intent.key) { $0.utf8.elementsEqual($1.utf8) }
    }
    return missing.isNothing
  }

  private func passes(_ outcome: Outcome, _ kind: EventKind, _ trigger: some Sequence<UInt8>) -> Bool {
    if let wanted = self.outcome, wanted != outcome { return false }
    if let wanted = self.kind, wanted != kind { return false }
    return self.trigger.map { trigger.elementsEqual($0.utf8) } ?? true
  }

  /// What no intent has done yet.
  private struct Missing {
    var change: Bool
    var broadcast: Bool

    init(_ filter: RecordFilter) { (change, broadcast) = (filter.store != nil, filter.topic != nil) }

    var isNothing: Bool { !change && !broadcast }

    mutating func look<Store>(
      for filter: RecordFilter, _ action: CommitAction<Store>, _ key: some Sequence<UInt8>,
      _ isNamed: (Store, String) -> Bool
    ) {
      switch action {
      case .change(let how, let store):
        guard change, let wanted = filter.store, isNamed(store, wanted) else { return }
        // A whole store that is replaced may have the key.
        let isKey = filter.key.map { key.elementsEqual($0.utf8) } ?? true
        let isBelow = filter.prefix.map { key.starts(with: $0.utf8) } ?? true
        if how == .replace || isKey && isBelow { change = false }
      case .effect(.broadcast):
        if let topic = filter.topic, key.elementsEqual(topic.utf8) { broadcast = false }
      case .effect, .emit: break
      }
    }
  }
}
