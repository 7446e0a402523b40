import Foundation
import TriggerHost

/// Moves what SQLite's write-ahead log holds into the database file, beside the thread that writes groups:
/// that copying and its syncs take tens of milliseconds, and every commit would wait for them.
///
/// A passive checkpoint (https://www.sqlite.org/c3ref/wal_checkpoint_v2.html) blocks no writer, but while
/// groups keep coming it never reaches the end. So the writer moves the little that is left itself, right
/// after: then SQLite begins the write-ahead log anew.
final class WALFlusher: @unchecked Sendable {  // everything mutable is guarded by `condition`
  /// Bytes of groups that are moved at a time: often and little, since the sync of what was moved shares the
  /// disk with the writer's own.
  private static let step = 1 << 20
  /// Bytes of groups after which the writer moves the rest, so that the write-ahead log begins anew: seldom,
  /// for those commits wait.
  private static let restart = 64 << 20

  private let database: Database
  // The writer's: bytes since the last step, and since the last restart.
  private var bytes = 0
  private var total = 0
  private let condition = NSCondition()
  private var isWanted = false
  private var isMoved = false
  private var failure: (any Error)?
  private var isStopping = false
  private var hasEnded = false

  /// Starts a thread with a connection of its own.
  ///
  /// - Throws: `StorageError`.
  init(path: String) throws {
    database = try Database(path: path, creates: false)
    let thread = Thread { [self] in loop() }
    thread.name = "log-flush"
    thread.start()
  }

  /// Call after each group, on the writer's thread, with its connection.
  ///
  /// - Parameter count: bytes that the group wrote.
  /// - Throws: what the disk said to this or to the thread. It must not go unheard: bytes that a failed sync has
  ///   not written stay unwritten, and with `async` nobody else would sync them.
  func afterGroup(_ writer: Database, bytes count: Int) throws {
    bytes += count
    total += count
    condition.lock()
    let (isMoved, failure) = (self.isMoved, self.failure)
    self.isMoved = false
    condition.unlock()
    if let failure { throw failure }
    if isMoved, total >= Self.restart {
      total = 0
      return try writer.run("PRAGMA wal_checkpoint(PASSIVE)")
    }
    if bytes < Self.step { return }
    bytes = 0
    condition.lock()
    if !isWanted { condition.signal() }
    isWanted = true
    condition.unlock()
  }

  /// Ends the thread.
  func stop() {
    condition.lock()
    isStopping = true
    condition.broadcast()
    while !hasEnded { condition.wait() }
    condition.unlock()
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
