import TriggerHost

/// Something of a host that is not in order.
package struct HostTrouble: Sendable, Hashable {
  /// What, for programs. The words never change.
  package enum Code: String, Sendable, CaseIterable {
    /// The engine takes no work: its log has failed, it stops, or too much is stuck.
    case engine
    /// The disk does not keep up, so queued operations wait.
    case logBehind = "log_behind"
    /// A script is not in force as it was saved.
    case script
    /// A trigger does not run, as an attempt of it could not be ended.
    case quarantined
    /// A table or directory does not follow its store.
    case store
    /// Clients of sessions get no messages: the log cannot be read.
    case sessions
  }

  package var code: Code
  /// The script, trigger or store.
  package var name: String?
  /// For people.
  package var text: String
}

extension RunningHost {
  /// All that is not in order now; nothing for a host that should get work. Any thread.
  package var troubles: [HostTrouble] {
    let stats = coordinator.stats
    var troubles = coordinator.readiness.reasons.map { HostTrouble(code: .engine, text: $0) }
    if stats.isLogBehind {
      troubles.append(
        HostTrouble(
          code: .logBehind, text: "the log is behind: \(stats.logLag) decided seqs are not durable yet"))
    }
    troubles += scripts.troubles.map { HostTrouble(code: .script, name: $0.path, text: $0.text) }
    troubles += stats.quarantined.keys.sorted().map {
      HostTrouble(
        code: .quarantined, name: $0,
        text: "trigger \($0) is in quarantine: an attempt of it could not be ended")
    }
    for (name, store) in stats.backends.sorted(by: { $0.key < $1.key }) {
      guard let obstacle = store.obstacle else { continue }
      troubles.append(
        HostTrouble(code: .store, name: name, text: "store \(name) is not followed: \(obstacle)"))
    }
    if let text = sessions?.failure { troubles.append(HostTrouble(code: .sessions, text: text)) }
    return troubles
  }

  /// Triggers in force, in byte order.
  package var triggerNames: [String] { queue.triggerNames }
}
