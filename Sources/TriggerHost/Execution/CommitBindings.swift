import TriggerCore

/// What triggers are bound to commits for: which keys each of them hears of.
package final class CommitBindings: Sendable {
  /// By place in `Router.commitTriggers`.
  private let patterns: [[PatternMatcher]]

  package init(_ triggers: [LoadedTrigger]) {
    patterns = triggers.map { trigger in
      trigger.options.on.filter { $0.kind == .commit }.map(\.matcher)
    }
  }

  /// For each binding the encoded list of the keys that it hears of, nil when those are none. O(keys × patterns).
  ///
  /// - Parameter keys: each once or more, in the order in which they are told.
  package func hear(_ keys: [Committer.ChangedKey]) -> Heard {
    var seen: Set<[UInt8]> = []
    let names = keys.compactMap { change -> [UInt8]? in
      let name = change.table._withUnsafeGuaranteedRef { table in
        table.isInternal ? nil : Array(table.nameBytes) + [UInt8(ascii: "/")] + change.key
      }
      return name.flatMap { seen.insert($0).inserted ? $0 : nil }
    }
    let lists = patterns.map { patterns -> [UInt8]? in
      let heard = names.filter { name in patterns.contains { $0.matches(name) } }
      if heard.isEmpty { return nil }
      var list: [UInt8] = []
      CanonicalEncoding.appendArrayHead(count: heard.count, to: &list)
      for name in heard { CanonicalEncoding.appendText(String(decoding: name, as: UTF8.self), to: &list) }
      return list
    }
    return Heard(bindings: self, lists: lists)
  }

  /// The keys of one commit.
  package struct Heard {
    package let bindings: CommitBindings
    package let lists: [[UInt8]?]
  }
}

/// What triggers bound to `commit` get: one event per commit and trigger, listing the keys.
package struct CommitEvents {
  /// Of the commit, and the trigger that made it.
  package let seq: Int64
  package let source: String

  package init(seq: Int64, source: String) { (self.seq, self.source) = (seq, source) }

  /// Calls `body` for each trigger that hears of one of the keys, with its event's canonical encoding.
  package func forEach(
    of heard: CommitBindings.Heard, among triggers: [LoadedTrigger],
    _ body: (LoadedTrigger, _ payload: [UInt8]) -> Void
  ) {
    for (trigger, list) in zip(triggers, heard.lists) {
      guard let list else { continue }
      var payload: [UInt8] = []
      payload.reserveCapacity(list.count + source.utf8.count + 40)
      CanonicalEncoding.appendMapHead(count: 3, to: &payload)
      CanonicalEncoding.appendText("seq", to: &payload)
      CanonicalEncoding.appendInt(seq, to: &payload)
      CanonicalEncoding.appendText("keys", to: &payload)
      payload += list
      CanonicalEncoding.appendText("trigger", to: &payload)
      CanonicalEncoding.appendText(source, to: &payload)
      body(trigger, payload)
    }
  }
}
