import Glibc
import TriggerHost

/// Every distinct content once: files of script trees, and strings that are likely to come again in records and in
/// parts of checkpoints. Whoever has such bytes keeps the rest of them, and cuts: which content belongs where. A
/// content that nobody refers to any more goes with its last cut.
///
/// A value on one connection, for whoever owns that at the moment.
struct Contents {
  let database: Database

  /// A content that was taken out of bytes.
  struct Cut {
    /// Where it begins in the whole.
    var offset: Int
    /// Id of the content.
    var content: Int64
  }

  /// Bytes with contents in them cannot be put together again.
  struct Damage: Error {}

  static let tables = [
    "contents (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, bytes BLOB NOT NULL)",
    // Of the block that begins with a seq, and of a part of a checkpoint.
    "block_cuts (block INTEGER, offset INTEGER, content INTEGER NOT NULL, PRIMARY KEY (block, offset)) WITHOUT ROWID",
    "chunk_cuts (checkpoint INTEGER, number INTEGER, offset INTEGER, content INTEGER NOT NULL, PRIMARY KEY (checkpoint, number, offset)) WITHOUT ROWID",
  ]

  static let indexes = [
    "contents_by_hash ON contents (hash)",
    "block_cuts_by_content ON block_cuts (content)",
    "chunk_cuts_by_content ON chunk_cuts (content)",
    "script_files_by_content ON script_files (content)",
  ]

  /// What has cuts takes them along, and the last cut its content.
  static let triggers =
    [
      """
      block_gone AFTER DELETE ON blocks WHEN old.cuts > 0
      BEGIN DELETE FROM block_cuts WHERE block = old.first; END
      """,
      """
      chunk_gone AFTER DELETE ON chunks WHEN old.cuts > 0
      BEGIN DELETE FROM chunk_cuts WHERE checkpoint = old.checkpoint AND number = old.number; END
      """,
    ]
    + ["block", "chunk"].map { owner in
      """
      \(owner)_cut_gone AFTER DELETE ON \(owner)_cuts
      WHEN NOT EXISTS (SELECT 1 FROM block_cuts WHERE content = old.content)
      AND NOT EXISTS (SELECT 1 FROM chunk_cuts WHERE content = old.content)
      AND NOT EXISTS (SELECT 1 FROM script_files WHERE content = old.content)
      BEGIN DELETE FROM contents WHERE id = old.content; END
      """
    }

  /// The id of the content with these bytes, which is kept if it is new. O(bytes).
  func id(of bytes: UnsafeRawBufferPointer) throws -> Int64 {
    let hash = LogBlock.checksum(bytes)
    var known: Int64?
    try database.run("SELECT id, bytes FROM contents WHERE hash = ?", [.int(hash)]) { row in
      let other = row.blob(1)
      if other.count == bytes.count,
        bytes.isEmpty || memcmp(other.baseAddress!, bytes.baseAddress!, bytes.count) == 0
      {
        known = row.int(0)
      }
    }
    if let known { return known }
    try database.run("INSERT INTO contents (hash, bytes) VALUES (?, ?)", [.int(hash), .blob(bytes)])
    return database.lastRowID
  }

  /// Keeps contents of some bytes apart from the rest.
  ///
  /// - Parameter ranges: where they lie, in order and apart.
  func cut(_ bytes: UnsafeRawBufferPointer, _ ranges: [Range<Int>]) throws -> (rest: [UInt8], cuts: [Cut]) {
    var rest: [UInt8] = []
    var cuts: [Cut] = []
    var end = 0
    for range in ranges {
      rest.append(contentsOf: bytes[end..<range.lowerBound])
      cuts.append(
        Cut(offset: range.lowerBound, content: try id(of: UnsafeRawBufferPointer(rebasing: bytes[range]))))
      end = range.upperBound
    }
    rest.append(contentsOf: bytes[end...])
    return (rest, cuts)
  }

  /// The whole block of records that begins with a seq. O(bytes).
  ///
  /// - Parameter cuts: how many contents are to come to the rest.
  func block(_ first: Int64, rest: UnsafeRawBufferPointer, cuts: Int64) throws -> [UInt8] {
    try whole(
      rest, cuts,
      "SELECT offset, bytes FROM block_cuts JOIN contents ON id = content WHERE block = ? ORDER BY offset",
      [.int(first)])
  }

  /// The whole part of a checkpoint. O(bytes).
  func chunk(
    _ checkpoint: Int64, _ number: Int64, rest: UnsafeRawBufferPointer, cuts: Int64
  ) throws -> [UInt8] {
    try whole(
      rest, cuts,
      "SELECT offset, bytes FROM chunk_cuts JOIN contents ON id = content WHERE checkpoint = ? AND number = ? ORDER BY offset",
      [.int(checkpoint), .int(number)])
  }

  private func whole(
    _ rest: UnsafeRawBufferPointer, _ cuts: Int64, _ sql: String, _ fields: [Database.Field]
  ) throws -> [UInt8] {
    var whole: [UInt8] = []
    var (taken, found) = (0, Int64(0))
    try database.run(sql, fields) { row in
      let offset = Int(row.int(0))
      guard offset >= whole.count, offset - whole.count <= rest.count - taken else { throw Damage() }
      let between = offset - whole.count
      whole.append(contentsOf: rest[taken..<taken + between])
      whole.append(contentsOf: row.blob(1))
      taken += between
      found += 1
    }
    guard found == cuts else { throw Damage() }
    whole.append(contentsOf: rest[taken...])
    return whole
  }
}
