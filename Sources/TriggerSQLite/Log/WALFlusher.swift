import Foundation
import TriggerHost

/// Moves what SQLite's write-ahead log holds into the database file, beside the thread that writes groups:
/// that copying and its syncs take tens of milliseconds, and every commit would wait for them.
///
/// A passive checkpoint (https://www.sqlite.org/c3ref/wal_checkpoint_v2.html) blocks no writer, but while
/// groups keep coming it never reaches the end. So the writer moves the little that is left itself, right
/// after: then SQLite begins the write-ahead log anew.
final class WALFlusher: @unchecked Sendable {  // everything mutable is guarded by `condition`
  /// Bytes of pages that are moved at a time: often and little, since the sync of what was moved shares the
  /// disk with the writer's own.
  private static let step = 1 << 20
  /// Bytes of pages after which the writer moves the rest, so that the write-ahead log begins anew: seldom,
  /// for those commits wait.
  private let limit: Int

  private let database: Database
  // The writer's: bytes of the write-ahead log when a step was last asked for, when the writer last moved the rest
  // itself, and at which somebody is told.
  private var asked = 0
  private var tried = 0
  private var told: Int
  private let pageBytes: Int
  private let condition = NSCondition()
  private var isWanted = false
  private var isMoved = false
  private var failure: (any Error)?
  private var isStopping = false
  private var hasEnded = false

  /// Starts a thread with a connection of its own.
  ///
  /// - Parameter limit: bytes that the write-ahead log may take, about.
  /// - Throws: `StorageError`.
  init(path: String, limit: Int) throws {
    self.limit = limit
    told = 4 * limit
    database = try Database(path: path, creates: false)
    pageBytes = Int(try database.integer("PRAGMA page_size") ?? 4096) + 24
    let thread = Thread { [self] in loop() }
    thread.name = "log-flush"
    thread.start()
  }

  /// Call after each group, on the writer's thread, with its connection, which counts pages.
  ///
  /// - Returns: what people should know.
  /// - Throws: what the disk said to this or to the thread. It must not go unheard: bytes that a failed sync has
  ///   not written stay unwritten, and with `async` nobody else would sync them.
  func afterGroup(_ writer: Database) throws -> String? {
    let size = writer.writeAheadPages * pageBytes
    if size < asked { (asked, tried, told) = (0, 0, 4 * limit) }
    condition.lock()
    let (isMoved, failure) = (self.isMoved, self.failure)
    self.isMoved = false
    condition.unlock()
    if let failure { throw failure }
    // Not again and again while a reader is in the way.
    if size >= limit, isMoved || size >= 2 * limit, size - tried >= Self.step {
      tried = size
      try writer.run("PRAGMA wal_checkpoint(PASSIVE)")
      guard size >= told else { return nil }
      told = 2 * size
      return
        "the write-ahead log has grown to \(size >> 20) MiB: a program holds an old state of the log open (a backup, sqlite3, trigger-host replay), and it shrinks when that ends"
    }
    if size - asked < Self.step { return nil }
    asked = size
    condition.lock()
    if !isWanted { condition.signal() }
    isWanted = true
    condition.unlock()
    return nil
  }

  /// Ends the thread and its connection.
  func stop() {
    condition.lock()
    isStopping = true
    condition.broadcast()
    while !hasEnded { condition.wait() }
    condition.unlock()
    database.close()
  }

  private func loop() {
    condition.lock()
    while !isStopping {
      guard isWanted else {
        condition.wait()
        continue
      }
      condition.unlock()
      var failure: (any Error)?
      do { try database.run("PRAGMA wal_checkpoint(PASSIVE)") } catch { failure = error }
      condition.lock()
      self.failure = self.failure ?? failure
      isWanted = false
      isMoved = true
    }
    hasEnded = true
    condition.broadcast()
    condition.unlock()
  }
}
