extension LogReader {
  /// The first seq whose operation can be executed again: the log begins with 1, or there is a checkpoint of
  /// the state before it. 1 for an empty log.
  ///
  /// - Throws: `LogError` when nothing can.
  package func firstExecutable() throws -> Int64 {
    let first = try firstSeq()
    if first <= 1 { return 1 }
    guard let oldest = try source.checkpoints().last(where: { $0.since >= first - 1 }) else {
      throw LogError(
        "\(path): the log begins with seq \(first) and there is no checkpoint of the state before any later one; what was before is not kept any more (log.retain)"
      )
    }
    return oldest.last + 1
  }

  /// Every start of a host, in order.
  package func epochs() throws -> [LogEpoch] { try source.epochs() }

  /// A number that changes when a host has written to the log since it was last asked for.
  package func changeCount() throws -> Int64 { try source.changeCount() }
}
