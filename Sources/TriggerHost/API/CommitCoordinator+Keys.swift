extension CommitCoordinator {
  /// Keys whose rows are in memory because no part of the log has them yet. Any thread.
  package var recentKeys: Int { engine.keys.recentCount }
}
