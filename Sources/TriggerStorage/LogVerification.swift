import TriggerHost

/// Something in a data directory that is not what was written.
public struct DirectoryDamage: Sendable, Hashable, CustomStringConvertible {
  /// What it is in: a block of records, a checkpoint, a script tree, the file.
  public var place: String
  /// What is wrong with it, and what that costs.
  public var what: String

  /// One line.
  public var description: String { what.contains(place) ? what : "\(place): \(what)" }
}

/// Everything that can be said of a data directory without running anything.
public struct LogVerification: Sendable {
  /// What was found, in the order it was looked at; empty: intact.
  public private(set) var damages: [DirectoryDamage] = []
  /// Records that are intact.
  public private(set) var records: Int64 = 0
  /// The first seq among them; 0: none.
  public private(set) var first: Int64 = 0
  /// The last.
  public private(set) var last: Int64 = 0
  /// Of the stores as of the last; nil when they could not be put together.
  package private(set) var digests: StateDigests?
  private var hasAllRecords = true
  /// Of messages that name the directory.
  private let prefix: String

  /// Looks at everything that is kept. O(bytes of the directory).
  ///
  /// - Throws: only what is no error of the directory.
  package init(_ reader: LogReader) throws {
    prefix = reader.path + ": "
    for check in Self.checks {
      do { try check.run(reader, &self) } catch let error as StorageError {
        add(check.name, "\(error)")
      } catch let error as LogDamage { add(check.name, "\(error)") } catch let error as LogError {
        add(check.name, "\(error)")
      }
    }
  }

  /// One kind of thing that is kept.
  private struct Check {
    var name: String
    var run: @Sendable (LogReader, inout LogVerification) throws -> Void
  }

  /// In this order. What throws for damage ends its own check only.
  private static let checks = [
    Check(name: "log.sqlite", run: checkFile),
    Check(name: "records", run: checkRecords),
    Check(name: "the end of the log", run: checkEnd),
    Check(name: "checkpoints", run: checkCheckpoints),
    Check(name: "script trees", run: checkTrees),
    Check(name: "contents", run: checkContents),
    Check(name: "accepted events", run: checkInbox),
    Check(name: "keys of senders", run: checkKeys),
    Check(name: "epochs", run: checkEpochs),
    Check(name: "the stores", run: checkStores),
  ]

  private mutating func add(_ place: String, _ what: String) {
    let what = what.hasPrefix(prefix) ? String(what.dropFirst(prefix.count)) : what
    damages.append(DirectoryDamage(place: place, what: what))
  }

  // MARK: Checks

  /// Pages, and whether they belong together.
  private static func checkFile(_ reader: LogReader, _ found: inout LogVerification) throws {
    try reader.database.run("PRAGMA integrity_check(10)") { row in
      if row.text(0) != "ok" { found.add("log.sqlite", row.text(0)) }
    }
  }

  private static func checkRecords(_ reader: LogReader, _ found: inout LogVerification) throws {
    var (end, trees) = (LogPosition?.none, Set([0]))
    for block in try reader.blockHeads() {
      let (first, last) = (block.first, block.last)
      let place = "the block of seqs \(first) to \(last)"
      if let end, first != end.seq &+ 1 {
        found.add(block: "the log", "seqs \(end.seq &+ 1) to \(first &- 1) are missing")
      } else if let problem = end.flatMap({ block.problem(after: $0) }) {
        found.add(block: place, problem)
      }
      end = block.end
      do {
        try reader.visitViews(from: first, to: last) { view in
          let record = try LogRecord(view)
          if trees.insert(record.tree).inserted, try !reader.hasTree(record.tree) {
            found.add("script tree \(record.tree)", "it is missing, and seq \(view.seq) ran with it")
          }
          found.note(view.seq)
        }
      } catch let error as StorageError {
        found.add(block: place, "\(error)")
      } catch let error as LogDamage { found.add(block: place, "\(error)") } catch let error as LogError {
        found.add(block: place, "\(error)")
      }
    }
  }

  private mutating func add(block place: String, _ what: String) {
    hasAllRecords = false
    add(place, what)
  }

  private mutating func note(_ seq: Int64) {
    if records == 0 { first = seq }
    (records, last) = (records + 1, seq)
  }

  private static func checkEnd(_ reader: LogReader, _ found: inout LogVerification) throws {
    let loss = try LogLoss.find(in: reader.path) { try DataFormat.newest(reader.database, path: reader.path) }
    if let loss { found.add("the end of the log", "\(loss)") }
  }

  private static func checkCheckpoints(_ reader: LogReader, _ found: inout LogVerification) throws {
    for checkpoint in try reader.checkpoints() {
      do { _ = try reader.check(checkpoint) } catch let damage as CheckpointDamage {
        if try reader.isKept(checkpoint) { found.add("checkpoint \(checkpoint.id)", "\(damage)") }
      }
    }
  }

  private static func checkTrees(_ reader: LogReader, _ found: inout LogVerification) throws {
    for tree in try reader.scriptTrees() {
      let number = tree.identity.number
      do {
        let files = try reader.tree(number)?.files ?? [:]
        for path in tree.changed where files[path] == nil {
          found.add("script tree \(number)", "the content of \(path) is not there")
        }
      } catch let error as StorageError {
        found.add("script tree \(number)", "\(error)")
      } catch let error as LogError { found.add("script tree \(number)", "\(error)") }
    }
  }

  /// Strings that are kept once: each is what its hash says.
  private static func checkContents(_ reader: LogReader, _ found: inout LogVerification) throws {
    try reader.database.run("SELECT id, hash, bytes FROM contents ORDER BY id") { row in
      if LogBlock.checksum(row.blob(2)) != row.int(1) {
        found.add("content \(row.int(0))", "its checksum does not fit")
      }
    }
  }

  private static func checkInbox(_ reader: LogReader, _ found: inout LogVerification) throws {
    try reader.visitInboxRows { id, event in
      if event == nil {
        found.add("the accepted event \(id.epoch)-\(id.number)", "its checksum does not fit, or its number")
      }
    }
  }

  private static func checkKeys(_ reader: LogReader, _ found: inout LogVerification) throws {
    try reader.visitDamagedKeyParts { number, what in
      found.add("part \(number) of the keys of senders", what)
    }
  }

  /// Whether all of it gives the state that was committed. Damaged records give none.
  private static func checkStores(_ reader: LogReader, _ found: inout LogVerification) throws {
    guard found.hasAllRecords else { return }
    let state = try StateVerification(reader)
    for damage in state.damages { found.add(damage.place, damage.what) }
    found.digests = state.digests
  }

  private static func checkEpochs(_ reader: LogReader, _ found: inout LogVerification) throws {
    var newest: Int64 = 0
    for epoch in try reader.epochs() {
      if epoch.number <= newest { found.add("epoch \(epoch.number)", "it follows epoch \(newest)") }
      newest = epoch.number
    }
  }
}

extension LogReader {
  fileprivate func hasTree(_ number: Int) throws -> Bool {
    var isThere = false
    try database.run("SELECT 1 FROM script_trees WHERE number = ?", [.int(Int64(number))]) { _ in
      isThere = true
    }
    return isThere
  }

  /// Every block without its bytes, as its row says, in order.
  fileprivate func blockHeads() throws -> [LogBlock] {
    var found: [LogBlock] = []
    try database.run("SELECT first, last, time, epoch, checksum, chain FROM blocks ORDER BY first") { row in
      found.append(
        LogBlock(
          first: row.int(0), last: row.int(1), time: row.int(2), epoch: row.int(3), checksum: row.int(4),
          chain: row.int(5), bytes: nil))
    }
    return found
  }
}
