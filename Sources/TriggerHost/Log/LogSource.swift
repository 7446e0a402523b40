import TriggerCore

/// Reads what a log keeps, also while somebody writes the log. One thread at a time. A call sees everything that was
/// written before the call began.
///
/// Everything that reads a log reads it through a source. Records are read in one way only: from a position on
/// (`blocks`). A source gives what is kept. `LogReader` checks whether this is what was written.
package protocol LogSource: AnyObject {
  /// Where the log is, for messages.
  var path: String { get }
  /// The identity of the log: a random number, made when the log was made.
  func logID() throws -> Int64
  /// A function that opens another source of the same log, for the thread that calls it. Any thread may call it.
  var another: @Sendable () throws -> any LogSource { get }
  /// True when the log that the source reads is not the one in its place any more: somebody has removed, moved or
  /// replaced it. Cheap.
  var isReplaced: Bool { get }
  /// Closes the source: nothing can be read afterwards. Safe to call twice.
  func close()
  /// True for an error of this source that says that a part of the log is not what was written, or cannot be read.
  func isDamage(_ error: any Error) -> Bool

  // MARK: Records

  /// Blocks of records in order, beginning with the block that contains the seq after `seq`. When that block is gone,
  /// the next one is the first. Empty when there is none.
  ///
  /// - Parameters:
  ///   - last: leaves out blocks that begin after this seq.
  ///   - bytes: about how many bytes of blocks to return. There is at least one block.
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
  /// A number that changes when something is written.
  func changeCount() throws -> Int64
  /// Every start of a host, in order.
  func epochs() throws -> [LogEpoch]
  /// What the log takes of its store.
  func room() throws -> LogRoom

  // MARK: Checkpoints

  /// Complete checkpoints, newest first.
  func checkpoints() throws -> [KeptCheckpoint]
  /// A number for a new checkpoint: no checkpoint and no part that is there has it.
  func newCheckpointID() throws -> Int64
  /// What a checkpoint has beside the parts of stores: `LogFold.encoded` and `StateDigests.encoded`. The digests are
  /// empty when the checkpoint has none. Nil when there is no such checkpoint.
  func rest(ofCheckpoint id: Int64) throws -> (fold: [UInt8], digests: [UInt8])?
  /// The parts of a checkpoint in order.
  ///
  /// - Parameter body: called with each part. The bytes are valid during the call; nil when a content that they share
  ///   is missing.
  func visitParts(
    ofCheckpoint id: Int64,
    _ body: (_ number: Int64, _ checksum: Int64, _ bytes: UnsafeRawBufferPointer?) throws -> Void) throws

  /// How many parts of a checkpoint are there, and what they take of the store in bytes, about; also when it is not
  /// complete, or dropped. O(parts).
  func parts(ofCheckpoint id: Int64) throws -> (count: Int, bytes: Int)

  // MARK: What else is kept

  /// Accepted events that no record has settled, in the order of their ids.
  ///
  /// - Parameter body: called with each event as `AcceptedEvent.encoded`, valid during the call, and with its checksum.
  func visitAccepted(
    _ body: (_ id: EventID, _ checksum: Int64, _ event: UnsafeRawBufferPointer) throws -> Void) throws
  /// Which operations that failed for good were put back or let go, by the failed seq.
  func deadMarks() throws -> [Int64: DeadMark]
  /// The rule of a schedule, and since when the host knows it, in nanoseconds since 1970. Nil for an unknown schedule.
  func schedule(_ name: String) throws -> (rule: String, since: Int64)?

  /// Up to which seq a receiver has taken the effects of commits; nil for one that has said nothing.
  func confirmed(receiver: String) throws -> Int64?
  /// The sessions, in byte order of their ids.
  ///
  /// - Parameter body: called with the state of each, valid during the call, and with its checksum.
  func visitSessions(
    _ body: (_ id: String, _ checksum: Int64, _ state: UnsafeRawBufferPointer) throws -> Void) throws

  /// Every script tree that was ever kept, oldest first. O(trees and their changes).
  func scriptTrees() throws -> [KeptScriptTree]
  /// The number and identity of the newest tree; nil when there is none.
  func newestTree() throws -> ScriptTree.Identity?
  /// The script tree with this number; nil when there is none. O(its files).
  ///
  /// - Throws: `LogError` when a file's content is damaged.
  func tree(_ number: Int) throws -> (identity: ScriptTree.Identity, files: [String: [UInt8]])?
  /// The script files that waited when the last host ended.
  func waitingScripts() throws -> [ScriptReload.Waiting]

  /// The parts in which the log keeps keys of senders, oldest first.
  ///
  /// - Parameter body: called with each part's `KeyPart.entries`, valid during the call, and with their checksum.
  ///   `through`: the rows of all events that records up to this seq have decided are in this part or in other parts.
  func visitKeyParts(
    _ body: (_ number: Int64, _ through: Int64, _ checksum: Int64, _ entries: UnsafeRawBufferPointer) throws
      ->
      Void) throws
  /// The rows of a part (`KeyPart.encodedRows`) and their checksum; nil when it is gone.
  func keyRows(ofPart number: Int64) throws -> (checksum: Int64, rows: [UInt8])?
  /// The number for the next part, and the seq up to which all rows are in parts.
  func newestKeyPart() throws -> (next: Int64, through: Int64)
}

extension LogSource {
  package var isReplaced: Bool { false }
}

/// A start of a host, and what it writes under: a newer one fences it off. Of each log, of ids of events and for users
/// it is one number with one name, that of the file's column.
package struct LogEpoch: Sendable, Hashable {
  /// Counted from 1.
  package var number: Int64
  /// When the host started, in nanoseconds since 1970.
  package var started: Int64
  /// `EnvironmentVersions.text` of that host.
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

/// What somebody did with an operation that failed for good.
package enum DeadMark: String, Sendable {
  /// The operation was put back. It runs again at the next start of the host.
  case requeued
  /// The operation was let go. It never runs again.
  case dropped
}

/// A script tree that was in force, without its files.
package struct KeptScriptTree: Sendable, Hashable {
  /// The number, time and seed of the tree.
  package var identity: ScriptTree.Identity
  /// The first seq that may use it; nil while nothing is noted of it.
  package var seq: Int64?
  /// The paths of files that are new, or differ from the tree before.
  package var changed: [String]
  /// The paths of files that the tree before had and this tree has not.
  package var removed: [String]

  package init(identity: ScriptTree.Identity, seq: Int64?, changed: [String] = [], removed: [String] = []) {
    (self.identity, self.seq, self.changed, self.removed) = (identity, seq, changed, removed)
  }
}

/// A log is not what was written.
public struct LogError: Error, Sendable, CustomStringConvertible {
  /// The message for people: which file, which seqs, and what is wrong.
  public let description: String
  package init(_ description: String) { self.description = description }
}
