import TriggerCore
import TriggerHost

/// Every script tree that was ever in force. A tree is kept as what it changed, and each distinct
/// content once.
///
/// A value on one connection, for whoever owns that at the moment.
struct ScriptTrees {
  let database: Database

  /// Files of the scripts directory that are in no tree yet, since they do not load or were saved with one that does not.
  static let waitingTable =
    "waiting_files (path TEXT PRIMARY KEY, burst INTEGER NOT NULL, size INTEGER NOT NULL, hash INTEGER NOT NULL) WITHOUT ROWID"

  /// The number and identity of the newest tree; nil when there is none.
  func newest() throws -> ScriptTree.Identity? {
    var found: ScriptTree.Identity?
    try database.run("SELECT number, time, seed FROM script_trees ORDER BY number DESC LIMIT 1") {
      found = try Self.identity($0)
    }
    return found
  }

  /// The tree of a number, nil when there is none. O(files).
  func tree(_ number: Int) throws -> (identity: ScriptTree.Identity, files: [String: [UInt8]])? {
    var found: ScriptTree.Identity?
    try database.run(
      "SELECT number, time, seed FROM script_trees WHERE number = ?", [.int(Int64(number))]
    ) { found = try Self.identity($0) }
    guard let found else { return nil }
    var files: [String: [UInt8]] = [:]
    try database.run(
      """
      SELECT path, hash, bytes FROM script_files AS file JOIN contents ON contents.id = file.content
      WHERE tree = (SELECT max(tree) FROM script_files WHERE path = file.path AND tree <= ?)
      """, [.int(Int64(number))]
    ) { row in
      guard LogBlock.checksum(row.blob(2)) == row.int(1) else {
        throw LogError("\(row.text(0)) of script tree \(number) is damaged")
      }
      files[row.text(0)] = Array(row.blob(2))
    }
    return (found, files)
  }

  /// Keeps a tree, as what it changed against the one before. In a transaction.
  func write(
    _ identity: ScriptTree.Identity, changed: [String: [UInt8]], removed: [String], seq: Int64
  ) throws {
    let number = Database.Field.int(Int64(identity.number))
    try database.run(
      "INSERT INTO script_trees VALUES (?, ?, ?, ?)",
      [number, .int(identity.time), .int(Int64(bitPattern: identity.seed)), .int(seq)])
    // In an order: what is on the disk must not depend on how a process hashes.
    for (path, bytes) in changed.sorted(by: { $0.key < $1.key }) {
      let content = try bytes.withUnsafeBytes { try Contents(database: database).id(of: $0) }
      try database.run("INSERT INTO script_files VALUES (?, ?, ?)", [.text(path), number, .int(content)])
    }
    for path in removed.sorted() {
      try database.run("INSERT INTO script_files VALUES (?, ?, NULL)", [.text(path), number])
    }
  }

  /// Says which files wait, in the place of what was said before. In a transaction.
  func write(waiting files: [ScriptReload.Waiting]) throws {
    // The table came later than the format: a directory of before gets it when it is needed.
    try database.run("CREATE TABLE IF NOT EXISTS \(Self.waitingTable)")
    try database.run("DELETE FROM waiting_files")
    for file in files {
      try database.run(
        "INSERT INTO waiting_files VALUES (?, ?, ?, ?)",
        [
          .text(file.path), .int(Int64(file.burst)), .int(Int64(file.content?.size ?? -1)),
          .int(Int64(bitPattern: file.content?.hash ?? 0)),
        ])
    }
  }

  static func identity(_ row: Database.Row) throws(StorageError) -> ScriptTree.Identity {
    let number = try row.int(0, in: Database.Bounds.tree)
    return ScriptTree.Identity(number: Int(number), time: row.int(1), seed: UInt64(bitPattern: row.int(2)))
  }
}

extension DataDirectory {
  /// Keeps a script tree before there is a log (`LogNotes.keep`).
  ///
  /// - Throws: `StorageError`.
  public func keep(
    _ files: [String: [UInt8]], now: Int64, seed: UInt64, seq: Int64 = 0
  ) throws -> ScriptTree.Identity {
    try withNotes {
      try $0.keep(files, now: now, seed: seed, seq: seq)
    } write: { jobs in
      try database.transaction { for job in jobs { try job.run(on: database) } }
    }
  }
}
