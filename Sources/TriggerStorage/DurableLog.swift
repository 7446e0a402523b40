import Foundation
import Synchronization
import TriggerCore
import TriggerHost

/// How much a crash may cost.
public enum Durability: String, Sendable, CaseIterable {
  /// Nothing is written: everything, at the end of the process.
  case memory
  /// Written at once, synced by the system: the last seconds when the machine stops, nothing when only the
  /// process does.
  case async
  /// On disk, synced in groups, before anything outside can see it: nothing.
  case group
}

/// The commit log on SQLite: the engine hands over records, one thread writes them in groups.
///
/// A group is whatever has come while the last one was written, so it grows with the load and a lone commit
/// waits for nobody. Any thread.
public final class DurableLog: CommitLog {
  /// Reads are not logged: replay makes them again.
  public let wantsReads = false
  private let directory: DataDirectory
  private let isSynced: Bool
  private let shared: Shared
  private let newest = Atomic<Int64>(0)
  private let listener = Mutex<(@Sendable (Int64) -> Void)?>(nil)
  private let failureListener = Mutex<(@Sendable (String) -> Void)?>(nil)

  /// Records waiting to be written. Guarded by its condition.
  private final class Shared: @unchecked Sendable {
    let condition = NSCondition()
    var bytes: [UInt8] = []
    var first: Int64 = 0
    var last: Int64 = 0
    var isClosing = false
    var hasEnded = false
    var isWriting = false
    var failure: String?
  }

  /// Records that may wait; then commits wait for the disk.
  private static let bytesWaiting = 32 << 20

  /// Starts the writer.
  ///
  /// - Parameter lastSeq: the newest seq in the log.
  public init(_ directory: DataDirectory, durability: Durability, lastSeq: Int64) throws {
    self.directory = directory
    isSynced = durability == .group
    shared = Shared()
    newest.store(isSynced ? lastSeq : .max, ordering: .relaxed)
    try directory.database.run("PRAGMA synchronous = \(isSynced ? "FULL" : "NORMAL")")
    let thread = Thread { [self] in write() }
    thread.name = "log"
    thread.start()
  }

  /// With `group` the newest seq on disk; with `async` all of them count at once. Any thread.
  public var durable: Int64 { newest.load(ordering: .acquiring) }
  /// - Parameter body: called on the log's thread after each group.
  public func whenDurable(_ body: @escaping @Sendable (Int64) -> Void) { listener.withLock { $0 = body } }

  /// - Parameter body: called once, when the disk refuses: nothing is written from then on.
  public func whenFailed(_ body: @escaping @Sendable (String) -> Void) {
    failureListener.withLock { $0 = body }
  }

  /// Copies a record. Waits when 32 MiB wait for the disk.
  public func append(seq: Int64, _ record: UnsafeRawBufferPointer) {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    while shared.bytes.count > Self.bytesWaiting, shared.failure == nil { shared.condition.wait() }
    if shared.bytes.isEmpty { shared.first = seq }
    shared.bytes.append(contentsOf: record)
    shared.last = seq
    if !shared.isWriting { shared.condition.broadcast() }
  }

  /// Returns when all that was appended is written, or the disk has refused.
  public func flush() {
    shared.condition.lock()
    while (!shared.bytes.isEmpty || shared.isWriting) && shared.failure == nil { shared.condition.wait() }
    shared.condition.unlock()
  }

  /// Writes what is left, ends the writer and lets another host have the directory. Safe to call twice.
  public func close() {
    flush()
    shared.condition.lock()
    shared.isClosing = true
    shared.condition.broadcast()
    while !shared.hasEnded { shared.condition.wait() }
    shared.condition.unlock()
    directory.close()
  }

  // MARK: The writer's thread

  private func write() {
    writeGroups()
    shared.condition.lock()
    shared.hasEnded = true
    shared.condition.broadcast()
    shared.condition.unlock()
  }

  private func writeGroups() {
    var group: [UInt8] = []
    while let (first, last) = next(&group) {
      do {
        try group.withUnsafeBytes { bytes in
          try directory.database.run(
            "INSERT INTO blocks VALUES (?, ?, ?, ?)",
            [.int(first), .int(last), .int(LogBlock.checksum(bytes)), .blob(bytes)])
        }
      } catch { return fail("\(error)") }
      if isSynced { newest.store(last, ordering: .releasing) }
      shared.condition.lock()
      shared.isWriting = false
      shared.condition.broadcast()
      shared.condition.unlock()
      if isSynced { listener.withLock { $0 }?(last) }
    }
  }

  /// Waits for records and takes all of them; nil at the end.
  private func next(_ group: inout [UInt8]) -> (first: Int64, last: Int64)? {
    group.removeAll(keepingCapacity: true)
    shared.condition.lock()
    defer { shared.condition.unlock() }
    while shared.bytes.isEmpty {
      if shared.isClosing { return nil }
      shared.condition.wait()
    }
    swap(&group, &shared.bytes)
    shared.isWriting = true
    return (shared.first, shared.last)
  }

  private func fail(_ message: String) {
    shared.condition.lock()
    shared.failure = message
    shared.condition.broadcast()
    shared.condition.unlock()
    failureListener.withLock { $0 }?(message)
  }
}
