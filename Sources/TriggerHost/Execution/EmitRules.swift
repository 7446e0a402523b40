import TriggerCore

/// How much a commit may emit.
package struct EmitRules {
  private let hops: Int
  private let emits: Int
  private let offspring: Int

  package init(_ configuration: EngineConfiguration) {
    hops = configuration.maximumHops
    emits = configuration.maximumEmits
    offspring = configuration.maximumOffspring
  }

  /// Why the operation may not emit what it wants to emit, nil when it may.
  ///
  /// - Parameter hearsOfCommits: some trigger is bound to commits.
  package func refusal(
    of operation: Operation, _ attempt: Attempt, hearsOfCommits: @autoclosure () -> Bool
  ) -> Failure? {
    let emits = attempt.writes.emits
    if operation.hops > hops {
      return Failure(.loop, "loop: \(operation.trigger.name) is more than \(hops) hops from its cause")
    }
    if emits > 0, operation.hops >= hops {
      return Failure(.loop, "loop: \(operation.trigger.name) emits after \(hops) hops from one cause")
    }
    if emits > self.emits {
      return Failure(
        .emits,
        "\(operation.trigger.name) emits \(emits) events in one commit; at most \(self.emits) are allowed (limits.emits)"
      )
    }
    // What a trigger bound to commits writes may be the next commit that it is bound to.
    let mayAdd = emits > 0 || operation.kind == .commit && attempt.writes.count > 0 && hearsOfCommits()
    if mayAdd, let family = operation.family, family.count >= offspring {
      return Failure(
        .offspring,
        "offspring: \(operation.trigger.name) would add to the \(family.count) operations that came of one cause already (limits.offspring)"
      )
    }
    return nil
  }
}
