extension LogReader {
  /// The first seq whose operation can run again: 1 when the log begins with seq 1 or is empty, otherwise the first seq
  /// with a checkpoint of the state before it.
  ///
  /// - Throws: `LogError` when no operation can run again.
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

  /// A number that changes when a host writes to the log.
  package func changeCount() throws -> Int64 { try source.changeCount() }
}
