extension CommitCoordinator {
  /// For a checkpoint: all stores, part by part.
  ///
  /// - Parameter partBytes: of a part, about; nil: the usual size.
  package func walk(partBytes: Int? = nil) -> StoreWalk {
    partBytes.map { StoreWalk(engine, partBytes: $0) } ?? StoreWalk(engine)
  }
}
