import TriggerCore

/// What is kept of a log, to be read, also while somebody writes it. One thread at a time; each call sees what was
/// written before it began.
///
/// Everything that reads a log does so here, and records in one way only: from a position on (`blocks`). A source says
/// what is kept; whether that is what was written its readers find out (`LogReader`).
package protocol LogSource: AnyObject {
  /// Where the log is, for messages.
  var path: String { get }
  /// Which log this is: random, made with it.
  func logID() throws -> Int64
  /// Opens another source of the same log, on any thread, for that.
  var another: @Sendable () throws -> any LogSource { get }
  /// Ends it; nothing can be read afterwards. Safe to call twice.
  func close()
  /// An error of this source that says: a part of what is kept is not what was written, or cannot be read any more.
  func isDamage(_ error: any Error) -> Bool

  // MARK: Records

  /// Blocks of records in order, beginning with the one that has the seq after `seq` or else with the next there is;
  /// empty when there is none.
  ///
  /// - Parameters:
  ///   - last: none that begins after it.
  ///   - bytes: no more blocks once there are about so many; at least one.
  func blocks(after seq: Int64, through last: Int64, bytes: Int) throws -> [LogBlock]
  /// The same without their bytes, whatever their rows say.
  ///
  /// - Parameter body: gets what the block takes of the store too, in bytes, about; false ends it.
  func visitHeads(after seq: Int64, _ body: (_ head: LogBlock, _ size: Int) throws -> Bool) throws
  /// Where the log ends.
  func end() throws -> LogPosition
  /// The oldest seq that is kept; 0 when there is none.
  func firstSeq() throws -> Int64
  /// Where the newest block ended that was let go: the oldest one that is kept follows it. Nil when none was, or nobody
  /// has noted it.
  func cut() throws -> LogPosition?
  /// A number that changes when something has been written since it was last asked for.
  func changeCount() throws -> Int64
  /// Every start of a host, in order.
  func epochs() throws -> [LogEpoch]
  /// What the log takes of its store.
  func room() throws -> LogRoom

  // MARK: Checkpoints

  /// Complete checkpoints, newest first.
  func checkpoints() throws -> [KeptCheckpoint]
  /// A number that no checkpoint has had, nor any part of one that is there.
  func newCheckpointID() throws -> Int64
  /// What a checkpoint says beside the stores, and of them: `LogFold.encoded` and `StateDigests.encoded`, the latter
  /// empty where it says nothing of them. Nil when there is no such checkpoint.
  func rest(ofCheckpoint id: Int64) throws -> (fold: [UInt8], digests: [UInt8])?
  /// The parts of a checkpoint in order.
  ///
  /// - Parameter body: gets nil for the bytes when a content of them is not there. They are valid during the call.
  func visitParts(
    ofCheckpoint id: Int64,
    _ body: (_ number: Int64, _ checksum: Int64, _ bytes: UnsafeRawBufferPointer?) throws -> Void) throws

  /// How many parts of a checkpoint are there, and what they take of the store in bytes, about; also when it is not
  /// complete, or dropped. O(parts).
  func parts(ofCheckpoint id: Int64) throws -> (count: Int, bytes: Int)

  // MARK: What else is kept

  /// Accepted events that no record has settled, in the order of their ids.
  ///
  /// - Parameter body: `AcceptedEvent.encoded`, valid during the call, and its checksum.
  func visitAccepted(
    _ body: (_ id: EventID, _ checksum: Int64, _ event: UnsafeRawBufferPointer) throws -> Void) throws
  /// What became of operations that failed for good, by their seqs.
  func deadMarks() throws -> [Int64: DeadMark]
  /// Since when a schedule is known, and its rule then; nil when it is not.
  func schedule(_ name: String) throws -> (rule: String, since: Int64)?

  /// Every script tree there ever was, oldest first. O(trees and what they changed).
  func scriptTrees() throws -> [KeptScriptTree]
  /// The number and identity of the newest tree; nil when there is none.
  func newestTree() throws -> ScriptTree.Identity?
  /// A script tree that was in force; nil when there is none of the number. O(its files).
  ///
  /// - Throws: `LogError` when a file's content is damaged.
  func tree(_ number: Int) throws -> (identity: ScriptTree.Identity, files: [String: [UInt8]])?
  /// Files that waited when the last host ended.
  func waitingScripts() throws -> [ScriptReload.Waiting]

  /// The parts that keys of senders are kept in, oldest first; bytes are valid during the call.
  ///
  /// - Parameter body: what memory wants to know of them (`KeyPart.entries`), and its checksum.
  func visitKeyParts(
    _ body: (_ number: Int64, _ through: Int64, _ checksum: Int64, _ entries: UnsafeRawBufferPointer) throws
      ->
      Void) throws
  /// The rows of a part (`KeyPart.encodedRows`) and their checksum; nil when it is gone.
  func keyRows(ofPart number: Int64) throws -> (checksum: Int64, rows: [UInt8])?
  /// The number after the newest part, and up to where records are in parts.
  func newestKeyPart() throws -> (next: Int64, through: Int64)
}

/// A start of a host, and what it writes under: a newer one fences it off. Of each log, of ids of events and for users
/// it is one number with one name, that of the file's column.
package struct LogEpoch: Sendable, Hashable {
  /// From 1.
  package var number: Int64
  /// Nanoseconds since 1970.
  package var started: Int64
  /// `EnvironmentVersions.text` there.
  package var versions: String

  package init(number: Int64, started: Int64, versions: String) {
    (self.number, self.started, self.versions) = (number, started, versions)
  }
}

/// What a log takes of its store, in bytes.
package struct LogRoom: Sendable, Hashable {
  /// What is in use.
  package var used: Int
  /// What is free, and goes back to the system with `LogJob.shrink`.
  package var free: Int

  package init(used: Int, free: Int) { (self.used, self.free) = (used, free) }
}

/// What became of an operation that failed for good.
package enum DeadMark: String, Sendable {
  /// Put back, for the next start of the host.
  case requeued
  /// Let go.
  case dropped
}

/// A script tree that was in force, without its files.
package struct KeptScriptTree: Sendable, Hashable {
  /// Number, time, seed.
  package var identity: ScriptTree.Identity
  /// The first seq that may use it; nil while nothing is noted of it.
  package var seq: Int64?
  /// Paths that are new, or have other content than in the tree before.
  package var changed: [String]
  /// Paths that went away.
  package var removed: [String]

  package init(identity: ScriptTree.Identity, seq: Int64?, changed: [String] = [], removed: [String] = []) {
    (self.identity, self.seq, self.changed, self.removed) = (identity, seq, changed, removed)
  }
}

/// A log that is not what was written.
public struct LogError: Error, Sendable, CustomStringConvertible {
  /// Which file, which seqs, and what is wrong.
  public let description: String
  package init(_ description: String) { self.description = description }
}
