import TriggerHost

extension LogReader {
  /// The first seq whose operation can be executed again: the log begins with 1, or there is a checkpoint of
  /// the state before it. 1 for an empty log.
  ///
  /// - Throws: `LogError` when nothing can.
  package func firstExecutable() throws -> Int64 {
    let first = try firstSeq()
    if first <= 1 { return 1 }
    var seq: Int64?
    try database.run(
      "SELECT last FROM checkpoints WHERE since >= ? - 1 ORDER BY last LIMIT 1", [.int(first)]
    ) { seq = $0.int(0) + 1 }
    guard let seq else {
      throw LogError(
        "\(path): the log begins with seq \(first) and there is no checkpoint of the state before any later one; what was before is not kept any more (log.retain)"
      )
    }
    return seq
  }

  /// A start of a host.
  package struct Epoch: Sendable, Hashable {
    /// From 1.
    package var number: Int64
    /// Nanoseconds since 1970.
    package var started: Int64
    /// `EnvironmentVersions.text` there.
    package var versions: String
  }

  /// Every start of a host, in order.
  package func epochs() throws -> [Epoch] {
    var epochs: [Epoch] = []
    try database.run("SELECT epoch, started, versions FROM epochs ORDER BY epoch") {
      epochs.append(Epoch(number: $0.int(0), started: $0.int(1), versions: $0.text(2)))
    }
    return epochs
  }

  /// A number that changes when a host has written to the log since it was last asked for.
  package func changeCount() throws -> Int64 {
    var count: Int64 = 0
    try database.run("PRAGMA data_version") { count = $0.int(0) }
    return count
  }
}
