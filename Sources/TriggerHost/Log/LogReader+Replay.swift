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
        "\(path): the log begins with seq \(first), and there is no checkpoint of the state before any later one: \(try fate(before: first))"
      )
    }
    return oldest.last + 1
  }

  /// Why the records before the first one that is kept are not there, as far as the log notes it.
  package func fate(before first: Int64) throws -> String {
    let cut = try source.cut()?.seq ?? 0
    if cut &+ 1 >= first { return "what was before is not kept any more (log.retain)" }
    return SeqText.missing(cut &+ 1, first &- 1)
  }

  /// What is wrong with where a log begins: no host can start on it. Nil when nothing is.
  ///
  /// - Parameter first: the first seq that is kept.
  package func problem(ofBeginning first: Int64) throws -> String? {
    guard first > 1, try !source.checkpoints().contains(where: { $0.since >= first &- 1 }) else { return nil }
    return
      "it begins with seq \(first), and there is no checkpoint of the state before it: \(try fate(before: first))"
  }

  /// Every start of a host, in order.
  package func epochs() throws -> [LogEpoch] { try source.epochs() }

  /// A number that changes when a host writes to the log.
  package func changeCount() throws -> Int64 { try source.changeCount() }
}
