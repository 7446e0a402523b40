extension CommitCoordinator {
  /// For a checkpoint: all stores, part by part.
  package func walk(partBytes: Int = 256 << 10) -> StoreWalk { StoreWalk(engine, partBytes: partBytes) }
}
