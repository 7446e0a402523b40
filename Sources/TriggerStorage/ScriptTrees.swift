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

  /// Paths of the files of a tree.
  func paths(_ number: Int) throws -> [String] {
    var paths: [String] = []
    try database.run(
      """
      SELECT path FROM script_files AS file WHERE content IS NOT NULL
      AND tree = (SELECT max(tree) FROM script_files WHERE path = file.path AND tree <= ?)
      """, [.int(Int64(number))]
    ) { paths.append($0.text(0)) }
    return paths
  }

  /// Keeps a tree that follows the newest one; equal files keep its number. In a transaction.
  ///
  /// - Parameters:
  ///   - previous: files of the newest tree.
  ///   - seq: the first that may use it; 0 when it is not known yet.
  func keep(
    _ files: [String: [UInt8]], after previous: [String: [UInt8]], now: Int64, seed: UInt64, seq: Int64
  ) throws -> ScriptTree.Identity {
    let newest = try newest()
    // Unchanged files share their memory, so this does not compare their bytes.
    let changed = files.filter { previous[$0.key] != $0.value }
    let removed = previous.keys.filter { files[$0] == nil }
    if let newest, changed.isEmpty, removed.isEmpty {
      try note(seq: seq, ofTree: newest.number)
      return newest
    }
    let identity = ScriptTree.Identity(number: (newest?.number ?? 0) + 1, time: now, seed: seed)
    let number = Database.Field.int(Int64(identity.number))
    try database.run(
      "INSERT INTO script_trees VALUES (?, ?, ?, ?)",
      [number, .int(now), .int(Int64(bitPattern: seed)), .int(seq)])
    for (path, bytes) in changed {
      let content = try bytes.withUnsafeBytes { try Contents(database: database).id(of: $0) }
      try database.run("INSERT INTO script_files VALUES (?, ?, ?)", [.text(path), number, .int(content)])
    }
    for path in removed {
      try database.run("INSERT INTO script_files VALUES (?, ?, NULL)", [.text(path), number])
    }
    return identity
  }

  /// Says from which seq on a tree is used, unless that is known already; 0: it is not known.
  func note(seq: Int64, ofTree number: Int) throws {
    try database.run(
      "UPDATE script_trees SET seq = ? WHERE number = ? AND seq = 0", [.int(seq), .int(Int64(number))])
  }

  /// The newest tree, when nobody knows from which seq on it is used: the host has ended between its commit and
  /// the note of it, or before the commit. And where to look for the commit: after the tree before.
  func newestUnnoted() throws -> (number: Int, after: Int64)? {
    var found: (Int, Int64)?
    try database.run(
      """
      SELECT number, seq, (SELECT coalesce(max(seq), 0) FROM script_trees) FROM script_trees
      ORDER BY number DESC LIMIT 1
      """
    ) { if $0.int(1) == 0 { found = (Int(try $0.int(0, in: Database.Bounds.tree)), $0.int(2)) } }
    return found
  }

  static func identity(_ row: Database.Row) throws(StorageError) -> ScriptTree.Identity {
    let number = try row.int(0, in: Database.Bounds.tree)
    return ScriptTree.Identity(number: Int(number), time: row.int(1), seed: UInt64(bitPattern: row.int(2)))
  }
}

extension DurableLog {
  /// Does something with the directory, on the log's thread, in the transaction of a group. Durable, as the
  /// mode says, when this returns.
  ///
  /// - Throws: what `body` throws, which takes back all of the group and ends the log: `body` throws for
  ///   what the disk says only.
  public func withDirectory<Result>(_ body: @escaping (DataDirectory) throws -> Result) throws -> Result {
    nonisolated(unsafe) var result: Result?  // `perform` returns after the log's thread has set it
    try perform { [directory] _ in result = try body(directory) }
    return result!
  }
}

extension DataDirectory {
  /// Keeps a script tree and gives it its identity; the newest tree keeps its own when the files are the same.
  /// O(changed bytes) and a comparison of every path; unchanged files should share their memory with the tree
  /// before.
  ///
  /// - Parameters:
  ///   - now: nanoseconds since 1970: the clock of chunks while they load.
  ///   - seed: of `math.random` while chunks load.
  ///   - seq: the first that may use it; 0 when it is not known yet.
  /// - Throws: `StorageError`.
  public func keep(
    _ files: [String: [UInt8]], now: Int64, seed: UInt64, seq: Int64 = 0
  ) throws -> ScriptTree.Identity {
    let trees = ScriptTrees(database: database)
    _ = try newestScripts()
    let identity = try trees.keep(files, after: newestFiles ?? [:], now: now, seed: seed, seq: seq)
    newestFiles = files
    return identity
  }

  /// The newest tree: the one that was in force when the last host ended. Nil when there is none, or it is damaged.
  ///
  /// - Throws: `StorageError`.
  public func newestScripts() throws -> (identity: ScriptTree.Identity, files: [String: [UInt8]])? {
    let trees = ScriptTrees(database: database)
    guard let newest = try trees.newest() else { return nil }
    do {
      if newestFiles == nil { newestFiles = try trees.tree(newest.number)?.files }
    } catch let error as LogError {
      // A content of it is not what was written: what is there now is kept whole.
      treeDamage = "\(error)"
      newestFiles = Dictionary(
        try trees.paths(newest.number).map { ($0, [UInt8]("\u{0}damaged".utf8)) }, uniquingKeysWith: { $1 })
    }
    return treeDamage == nil ? newestFiles.map { (newest, $0) } : nil
  }

  /// Says which files wait, and what was saved together with what, in the place of what was said before.
  ///
  /// - Throws: `StorageError`.
  public func note(waiting files: [ScriptReload.Waiting]) throws {
    // It came later than the format: a directory of before gets it when it is needed.
    try database.run("CREATE TABLE IF NOT EXISTS \(ScriptTrees.waitingTable)")
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

  /// The files that waited when the last host ended.
  ///
  /// - Throws: `StorageError`.
  public func waitingScripts() throws -> [ScriptReload.Waiting] {
    try openSource().waitingScripts()
  }

  /// Says from which seq on a tree is used, unless that is known already.
  public func note(seq: Int64, ofTree number: Int) throws {
    try ScriptTrees(database: database).note(seq: seq, ofTree: number)
  }

  /// Finds in the log from which seq on the newest tree is used, when the last host has ended before it could
  /// note that. Before a host begins. O(records since the tree before), for such a tree only.
  ///
  /// - Throws: `LogError`, `StorageError`.
  package func mendNewestTree(from reader: LogReader) throws {
    let trees = ScriptTrees(database: database)
    guard let (number, after) = try trees.newestUnnoted() else { return }
    let wanted = Value.int(Int64(number))
    try reader.visitViews(from: after + 1) { record in
      guard record.isReload, try CanonicalEncoding.decode(record.payload)["tree"] == wanted else { return }
      try trees.note(seq: record.identity, ofTree: number)
    }
  }
}
