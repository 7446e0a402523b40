extension ReplayState {
  /// The stores of a coordinator that has recovered; its queue never starts.
  package convenience init(_ coordinator: CommitCoordinator, _ recovery: Recovery) {
    self.init(coordinator.engine, recovery)
  }
}
