import CSQLite
import TriggerSQLite

extension Database {
  /// Runs somebody else's SQL, any number of statements, inside the transaction that is open.
  ///
  /// - Parameter table: a table whose rows it may not change.
  /// - Throws: `StorageError` for mistakes, and for what would leave the transaction or the file.
  func runScript(_ sql: String, keeping table: String) throws(StorageError) {
    let guardian = ScriptGuard(table)
    try check(
      sqlite3_set_authorizer(handle, ScriptGuard.authorize, Unmanaged.passUnretained(guardian).toOpaque()))
    defer { sqlite3_set_authorizer(handle, nil, nil) }
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    if let refusal = withExtendedLifetime(guardian, { guardian.refusal }) { throw StorageError(refusal) }
    // Who wrote the script knows the file: the message alone.
    do { try check(code) } catch { throw StorageError(message, code: error.code) }
  }
}

/// Refuses what a script may not do, and remembers why.
private final class ScriptGuard {
  private(set) var refusal: String?
  private let table: String

  init(_ table: String) { self.table = table.lowercased() }

  static let authorize:
    @convention(c) (
      UnsafeMutableRawPointer?, Int32, UnsafePointer<CChar>?, UnsafePointer<CChar>?, UnsafePointer<CChar>?,
      UnsafePointer<CChar>?
    ) -> Int32 = { context, action, first, second, _, _ in
      let guardian = Unmanaged<ScriptGuard>.fromOpaque(context!).takeUnretainedValue()
      let name = first.map { String(cString: $0) } ?? ""
      guard let refusal = guardian.refusal(action, name) else { return SQLITE_OK }
      guardian.refusal = guardian.refusal ?? refusal
      return SQLITE_DENY
    }

  private func refusal(_ action: Int32, _ name: String) -> String? {
    switch action {
    case SQLITE_TRANSACTION, SQLITE_SAVEPOINT: "\(name) is not allowed: it runs in a transaction of its own"
    case SQLITE_ATTACH, SQLITE_DETACH: "other files cannot be attached here"
    case SQLITE_PRAGMA where name.lowercased() == "writable_schema": "PRAGMA \(name) is not allowed here"
    case SQLITE_INSERT, SQLITE_UPDATE, SQLITE_DELETE: refusal(changing: name)
    default: nil
    }
  }

  private func refusal(changing name: String) -> String? {
    if name.lowercased() == table { return TableLayout.refusal(name) }
    return name.lowercased().hasPrefix("trigger_host") ? "the table \(name) belongs to trigger-host" : nil
  }
}
