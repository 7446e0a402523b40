/// For who keeps the keys of senders in a log.
extension CommitCoordinator {
  /// From now on somebody takes the rows of decided keys from the log's records, and calls `settle` when they are kept.
  package func keepKeysInLog() { engine.keys.keepInLog() }

  /// The part is kept: memory lets its rows go. Any thread; O(rows), with no lock held for long.
  package func settle(_ part: KeyPart, number: Int64) {
    engine.keys.settle(part, number: number, now: engine.keyTime)
  }

  /// Numbers of parts of which all keys are forgotten, each once. Any thread.
  package func takeForgottenKeyParts() -> [Int64] { engine.keys.takeForgotten(now: engine.keyTime) }

  /// Keys whose rows are in memory because no part has them yet. Any thread.
  package var recentKeys: Int { engine.keys.recentCount }
}
