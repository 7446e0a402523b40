import CSQLite
import Glibc
import TriggerFiles

/// One connection to an SQLite file. Not thread-safe: one thread at a time.
package final class Database {
  package let handle: OpaquePointer
  private var statements: [String: OpaquePointer] = [:]
  /// Bytes that a text, a blob or a row may have (SQLITE_MAX_LENGTH; usually a billion).
  package let longest: Int
  private var isClosed = false
  /// Pages in the write-ahead log after the last commit of this connection, once they are counted.
  fileprivate(set) var writeAheadPages = 0

  /// Opens a file, made when `creates`.
  ///
  /// - Parameters:
  ///   - isPrivate: nobody but its owner may read the file, and those that SQLite makes beside it, when it is made now.
  ///   - fileSystem: name of a VFS that was registered with SQLite; nil: the system's files.
  /// - Throws: `StorageError` with what SQLite says.
  package init(
    path: String, creates: Bool = true, isPrivate: Bool = false, isReadOnly: Bool = false,
    isURI: Bool = false, fileSystem: String? = nil
  ) throws(StorageError) {
    // SQLite would wait for whoever writes into a named pipe.
    for file in fileSystem == nil && !isURI ? [path, path + "-wal"] : [] {
      if let status = FileStatus.of(file), status.kind != .file {
        throw StorageError("\(file) is \(status.kindInWords), not a database file")
      }
    }
    // SQLite makes a file with 0644, and gives the mode of the file to those beside it. One without a byte is new to it.
    if creates, isPrivate {
      let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      if file >= 0 { Glibc.close(file) }
    }
    var handle: OpaquePointer?
    let flags =
      isReadOnly
      ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | (creates ? SQLITE_OPEN_CREATE : 0)
    let code = sqlite3_open_v2(
      path, &handle, flags | SQLITE_OPEN_NOMUTEX | (isURI ? SQLITE_OPEN_URI : 0), fileSystem)
    guard code == SQLITE_OK, let handle else {
      let message = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "no memory"
      sqlite3_close_v2(handle)
      throw StorageError(sqlite: message, code: code, path: path)
    }
    self.handle = handle
    longest = Int(sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, -1))
    try check(sqlite3_extended_result_codes(handle, 1))
    try check(sqlite3_busy_timeout(handle, 5000))
  }

  /// The one place where codes of SQLite are looked at, but for those that tell how a statement goes on.
  ///
  /// - Throws: `StorageError` with what the connection says of it.
  package func check(_ code: Int32) throws(StorageError) {
    if code != SQLITE_OK { throw failure(code) }
  }

  /// Opens a file that nobody changes meanwhile, to read it.
  package convenience init(path: String, isImmutable: Bool) throws(StorageError) {
    let plain = { (byte: UInt8) in
      byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".") || UnicodeScalar(byte).properties.isASCIIHexDigit
    }
    let name = path.utf8.map {
      plain($0) ? String(UnicodeScalar($0)) : "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16)
    }
    try self.init(path: "file:\(name.joined())?immutable=1", creates: false, isReadOnly: true, isURI: true)
  }

  deinit { close() }

  /// Ends the connection; what is asked of it afterwards is refused. The last one to a file moves what is in the
  /// write-ahead log into it, and removes that. Safe to call twice.
  package func close() {
    if isClosed { return }
    isClosed = true
    // What it returns is the failure of the last run, which was thrown there.
    for statement in statements.values { sqlite3_finalize(statement) }
    statements = [:]
    let code = sqlite3_close_v2(handle)
    precondition(code == SQLITE_OK, "a connection of our own cannot be closed: \(code)")
  }

  /// Counts pages of the write-ahead log from now on, and leaves it to the caller to move them into the file:
  /// SQLite's own way does not tell of errors.
  package func countWriteAhead() throws {
    try run("PRAGMA wal_autocheckpoint = 0")
    let context = Unmanaged.passUnretained(self).toOpaque()
    sqlite3_wal_hook(
      handle,
      { context, _, _, pages in
        Unmanaged<Database>.fromOpaque(context!).takeUnretainedValue().writeAheadPages = Int(pages)
        return SQLITE_OK
      }, context)
  }

  /// Nothing can be written, whatever it was opened for.
  package var isReadOnly: Bool { sqlite3_db_readonly(handle, "main") == 1 }

  /// A value to bind, or of a column.
  package enum Field {
    case int(Int64)
    case text(String)
    case blob(UnsafeRawBufferPointer)
    case cell(Cell)
  }

  /// A value with its type, as SQLite keeps it. Equal means equal bytes: text too.
  package enum Cell: Hashable, Sendable {
    case null
    case int(Int64)
    case double(Double)
    case text([UInt8])
    case blob([UInt8])
  }

  /// Of integers that are counted on: far from where a sum overflows.
  package enum Bounds {
    /// Seqs, and numbers that go up with them; 0: none yet.
    package static let seq: ClosedRange<Int64> = 0...1 << 62
    /// Of script trees.
    package static let tree: ClosedRange<Int64> = 0...1 << 53
    /// Bytes; -1: there is nothing, -2: nobody knows.
    package static let size: ClosedRange<Int64> = -2...1 << 53
  }

  /// One row of a result; valid until the next.
  package struct Row {
    fileprivate let statement: OpaquePointer
    /// Any integer: what counts with it, or converts it, asks for it with its range.
    package func int(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }

    /// An integer that lies in a range, as whatever reads on takes for granted.
    ///
    /// - Throws: `StorageError` with file, table, column and value where it does not, or is no integer.
    package func int(_ column: Int32, in range: ClosedRange<Int64>) throws(StorageError) -> Int64 {
      let value = int(column)
      if sqlite3_column_type(statement, column) == SQLITE_INTEGER, range.contains(value) { return value }
      let name = { (text: UnsafePointer<CChar>?) in text.map { String(cString: $0) } ?? "?" }
      let path = name(sqlite3_db_filename(sqlite3_db_handle(statement), "main"))
      let table = name(sqlite3_column_table_name(statement, column))
      let found = sqlite3_column_type(statement, column) == SQLITE_INTEGER ? "\(value)" : "'\(text(column))'"
      throw StorageError(
        "\(path): \(table).\(name(sqlite3_column_name(statement, column))) is damaged: \(found) is not between \(range.lowerBound) and \(range.upperBound)"
      )
    }
    package func text(_ column: Int32) -> String {
      guard let text = sqlite3_column_text(statement, column) else { return "" }
      // It may have zeros in it.
      let count = Int(sqlite3_column_bytes(statement, column))
      return String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self)
    }
    package func blob(_ column: Int32) -> UnsafeRawBufferPointer {
      let count = Int(sqlite3_column_bytes(statement, column))
      return UnsafeRawBufferPointer(start: sqlite3_column_blob(statement, column), count: count)
    }
    package func cell(_ column: Int32) -> Cell {
      switch sqlite3_column_type(statement, column) {
      case SQLITE_INTEGER: .int(int(column))
      case SQLITE_FLOAT: .double(sqlite3_column_double(statement, column))
      case SQLITE_TEXT: .text(Array(blob(column)))
      case SQLITE_BLOB: .blob(Array(blob(column)))
      default: .null
      }
    }
  }

  /// Runs a statement, kept prepared for the next time; `row` gets each row.
  ///
  /// - Throws: `StorageError`, before anything is done for a field that is longer than SQLite takes; or what
  ///   `row` throws.
  package func run(_ sql: String, _ fields: [Field] = [], row: (Row) throws -> Void = { _ in }) throws {
    let statement = try prepared(sql)
    defer {
      // The codes of both say again what the last step said.
      sqlite3_reset(statement)
      sqlite3_clear_bindings(statement)
    }
    for (index, field) in fields.enumerated() { try bind(field, to: statement, at: Int32(index + 1)) }
    while true {
      let code = sqlite3_step(statement)
      switch code {
      case SQLITE_ROW: try row(Row(statement: statement))
      case SQLITE_DONE: return
      default: throw failure(code)
      }
    }
  }

  private func bind(_ field: Field, to statement: OpaquePointer, at place: Int32) throws(StorageError) {
    switch field {
    case .int(let value): try check(sqlite3_bind_int64(statement, place, value))
    case .text(var text):
      let code = text.withUTF8 { bind(text: UnsafeRawBufferPointer($0), to: statement, at: place) }
      try check(code)
    case .cell(let cell): try bind(cell, to: statement, at: place)
    // Bound as it is: the statement is done with it before `run` returns.
    case .blob(let bytes): try check(bind(blob: bytes, to: statement, at: place, nil))
    }
  }

  private func bind(_ cell: Cell, to statement: OpaquePointer, at place: Int32) throws(StorageError) {
    switch cell {
    case .null: try check(sqlite3_bind_null(statement, place))
    case .int(let value): try check(sqlite3_bind_int64(statement, place, value))
    case .double(let value): try check(sqlite3_bind_double(statement, place, value))
    case .text(let bytes): try check(bytes.withUnsafeBytes { bind(text: $0, to: statement, at: place) })
    case .blob(let bytes):
      try check(bytes.withUnsafeBytes { bind(blob: $0, to: statement, at: place, Self.copies) })
    }
  }

  private func bind(text: UnsafeRawBufferPointer, to statement: OpaquePointer, at place: Int32) -> Int32 {
    // A null pointer would be NULL.
    let start = (text.baseAddress ?? UnsafeRawPointer(statement)).assumingMemoryBound(to: CChar.self)
    return sqlite3_bind_text64(
      statement, place, start, UInt64(text.count), Self.copies, UInt8(SQLITE_UTF8))
  }

  private func bind(
    blob: UnsafeRawBufferPointer, to statement: OpaquePointer, at place: Int32,
    _ copies: sqlite3_destructor_type?
  ) -> Int32 {
    sqlite3_bind_blob64(
      statement, place, blob.baseAddress ?? UnsafeRawPointer(statement), UInt64(blob.count), copies)
  }

  private func prepared(_ sql: String) throws(StorageError) -> OpaquePointer {
    if isClosed { throw StorageError("the database is closed") }
    if let known = statements[sql] { return known }
    var statement: OpaquePointer?
    try check(
      sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
    guard let statement else { throw StorageError("a statement that says nothing: '\(sql)'") }
    statements[sql] = statement
    return statement
  }

  /// What the connection says of a code that it has just returned.
  private func failure(_ code: Int32) -> StorageError {
    let path = sqlite3_db_filename(handle, nil).map { String(cString: $0) } ?? "database"
    if code & 0xff == SQLITE_TOOBIG {
      return StorageError(
        "\(path): one value of more than \(longest) bytes, which SQLite does not take; nothing of it is written",
        code: code)
    }
    return StorageError(sqlite: message, code: sqlite3_extended_errcode(handle), path: path)
  }

  /// What SQLite says of the last failure.
  package var message: String { String(cString: sqlite3_errmsg(handle)) }

  private static var copies: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }
}

/// What the disk, or a file on it, would not do.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
  /// File and reason.
  public let description: String
  /// SQLite's extended result code; 0 when the reason is another.
  package let code: Int32

  package init(_ description: String, code: Int32 = 0) {
    self.description = description
    self.code = code
  }

  /// - Parameter message: what SQLite says; what to do is added where that helps.
  fileprivate init(sqlite message: String, code: Int32, path: String) {
    let advice =
      switch code & 0xff {
      case SQLITE_CORRUPT:
        ": the file is damaged. Restore it from a backup; what can still be read of a copy: sqlite3 COPY .recover"
      case SQLITE_NOTADB: ": it is a file of another kind, or damaged at its beginning"
      case SQLITE_CANTOPEN where access(path, F_OK) != 0: ": there is no such file"
      default: ""
      }
    self.init("\(path): \(message)\(advice)", code: code)
  }
}
