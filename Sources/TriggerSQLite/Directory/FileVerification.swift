import TriggerHost

/// What can be said of the file that a log is in, beside what the log keeps (`LogVerification` looks at that).
package struct FileVerification {
  /// What was found, in the order it was looked at; empty: intact.
  package private(set) var damages: [DirectoryDamage] = []
  private let source: SQLiteLogSource

  /// Looks at all pages and contents. O(bytes of the file).
  package init(_ source: SQLiteLogSource) {
    self.source = source
    for (place, check) in [
      ("log.sqlite", checkPages), ("the end of the log", checkEnd), ("contents", checkContents),
    ] as [(String, (inout [DirectoryDamage]) throws -> Void)] {
      do { try check(&damages) } catch {
        damages.append(DirectoryDamage(place, "\(error)", in: source.path))
      }
    }
  }

  /// Pages, and whether they belong together.
  private func checkPages(_ found: inout [DirectoryDamage]) throws {
    try source.database.run("PRAGMA integrity_check(10)") { row in
      if row.text(0) != "ok" { found.append(DirectoryDamage("log.sqlite", row.text(0), in: source.path)) }
    }
  }

  private func checkEnd(_ found: inout [DirectoryDamage]) throws {
    let loss = try LogLoss.find(in: source.path) {
      try DataFormat.newest(source.database, path: source.path)
    }
    if let loss { found.append(DirectoryDamage("the end of the log", "\(loss)", in: source.path)) }
  }

  /// Strings that are kept once: each is what its hash says.
  private func checkContents(_ found: inout [DirectoryDamage]) throws {
    try source.database.run("SELECT id, hash, bytes FROM contents ORDER BY id") { row in
      if LogBlock.checksum(row.blob(2)) == row.int(1) { return }
      found.append(
        DirectoryDamage("content \(row.int(0))", "its checksum does not fit", in: source.path))
    }
  }
}
