import Foundation
import Testing

import TriggerSQLite

/// What SQLite answers is looked at, whatever it was asked to do.
@Suite struct DatabaseCodeTests {
  private func table() throws -> Database {
    let database = try Database(path: ":memory:")
    try database.run("CREATE TABLE t (value NOT NULL)")
    return database
  }

  /// A value that SQLite does not take is refused for that, and not for what it would have left in its place.
  @Test func aValueThatIsTooLongIsSaid() throws {
    let database = try table()
    // Memory that nobody looks at is not there.
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: database.longest + 1, alignment: 1)
    defer { bytes.deallocate() }
    let error = #expect(throws: StorageError.self) {
      try database.run("INSERT INTO t VALUES (?)", [.blob(UnsafeRawBufferPointer(bytes))])
    }
    #expect(
      error?.description.contains("one value of more than \(database.longest) bytes") == true, "\(error!)")
    #expect(try database.integer("SELECT count(*) FROM t") == 0)
    try database.run("INSERT INTO t VALUES (?)", [.int(1)])
    #expect(try database.integer("SELECT value FROM t") == 1)
  }

  @Test func aPlaceThatIsNotThereIsSaid() throws {
    let database = try table()
    #expect(throws: StorageError.self) { try database.run("INSERT INTO t VALUES (?)", [.int(1), .int(2)]) }
    #expect(try database.integer("SELECT count(*) FROM t") == 0)
    #expect(throws: StorageError.self) { try database.run(" ") }
  }

  /// Texts are what their bytes are, zeros too; what is empty is not NULL.
  @Test func textsAndBytesComeBackWhole() throws {
    let database = try table()
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    for field in [Database.Field.text("a\0b"), .text(""), .blob(nothing), .cell(.text([])), .cell(.blob([]))]
    {
      try database.run("INSERT INTO t VALUES (?)", [field])
    }
    var texts: [String] = []
    try database.run("SELECT value FROM t ORDER BY rowid") { texts.append($0.text(0)) }
    #expect(texts == ["a\0b", "", "", "", ""])
  }
}
