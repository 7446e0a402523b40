import Foundation
import TriggerHost
import TriggerSQLite
import TriggerStores

/// A data directory for one measurement, in the temporary directory.
final class BenchDisk: Sendable {
  let log: DurableLog
  let path: String
  private let directory: DataDirectory

  init(_ durability: Durability) throws {
    path = NSTemporaryDirectory() + "trigger-host-bench-\(UUID().uuidString)"
    directory = try DataDirectory(path: path)
    log = try DurableLog(directory, durability: durability, lastSeq: 0)
  }

  func keep(_ files: [String: [UInt8]]) throws -> ScriptTree.Identity {
    try log.withDirectory { try $0.keep(files, now: 0, seed: 0) }
  }

  /// The table of a store whose values are maps of three integers.
  func table(_ store: String) throws -> DatabaseStoreBackend {
    let columns = ["count", "total", "last"].map { DatabaseTable.Column($0, .integer) }
    return try DatabaseStoreBackend(
      path: path + "/stores/\(store).sqlite", store: store, table: DatabaseTable(store, columns: columns),
      history: LogHistory(log: directory.logID, epoch: 1))
  }

  /// Bytes of the log, when all that was appended is in its place.
  func bytes() throws -> Int {
    log.flush()
    try directory.emptyWriteAheadLog()
    return directory.bytes
  }

  func remove() {
    log.close()
    try? FileManager.default.removeItem(atPath: path)
  }
}
