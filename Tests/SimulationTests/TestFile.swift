import CFaultVFS
import CSQLite
import Synchronization

/// An SQLite file on a faulting disk of its own.
final class TestFile {
  private static let newest = Atomic<Int>(0)
  let disk: OpaquePointer
  private let name: String

  init(seed: UInt64) {
    name = "test-disk-\(Self.newest.wrappingAdd(1, ordering: .relaxed).newValue)"
    disk = fv_disk_new(name, seed)!
  }

  deinit { fv_disk_free(disk) }

  func open() throws -> TestConnection { try TestConnection("test.sqlite", vfs: name) }

  func bytes(_ path: String) -> [UInt8] {
    var count: Int64 = 0
    guard let bytes = fv_disk_bytes(disk, path, &count) else { return [] }
    return Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
  }
}

struct SQLiteFailure: Error, CustomStringConvertible {
  var description: String
}

final class TestConnection {
  private let handle: OpaquePointer

  init(_ path: String, vfs: String) throws {
    var handle: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
    guard sqlite3_open_v2(path, &handle, flags, vfs) == SQLITE_OK, let handle else {
      let message = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "no memory"
      sqlite3_close_v2(handle)
      throw SQLiteFailure(description: message)
    }
    self.handle = handle
  }

  deinit { sqlite3_close_v2(handle) }

  func run(_ sql: String, row: (OpaquePointer) -> Void = { _ in }) throws {
    var statement: OpaquePointer?
    guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK else { throw failure() }
    defer { sqlite3_finalize(statement) }
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW: row(statement!)
      case SQLITE_DONE: return
      default: throw failure()
      }
    }
  }

  func numbers(_ sql: String) throws -> [Int] {
    var found: [Int] = []
    try run(sql) { found.append(Int(sqlite3_column_int64($0, 0))) }
    return found
  }

  func texts(_ sql: String) throws -> [String] {
    var found: [String] = []
    try run(sql) { found.append(String(cString: sqlite3_column_text($0, 0))) }
    return found
  }

  private func failure() -> SQLiteFailure {
    SQLiteFailure(description: String(cString: sqlite3_errmsg(handle)))
  }
}
