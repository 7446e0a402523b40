import TriggerCore

/// What is written together: wholly, or not at all.
package struct LogGroup: Sendable {
  /// Encoded records, one after another, and their first and last seq; empty when there are none.
  package private(set) var records: [UInt8] = []
  package private(set) var first: Int64 = 0
  package private(set) var last: Int64 = 0
  /// When it is written, nanoseconds since 1970.
  package var time: Int64 = 0
  /// Where in `records` bytes lie that are likely to be in others as well, in order and apart.
  package private(set) var contents: [Range<Int>] = []
  /// Accepted events that no record of this group settles, each as `AcceptedEvent.encoded`.
  package private(set) var accepted: [EventID: [UInt8]] = [:]
  /// Events that were kept by an earlier group and need not be any more.
  package private(set) var settled: [EventID] = []
  /// Other work, after all of that, in this order.
  package var jobs: [LogJob] = []

  package init(jobs: [LogJob] = []) { self.jobs = jobs }

  package var count: Int { records.isEmpty ? 0 : Int(last - first) + 1 }

  package var isEmpty: Bool { records.isEmpty && accepted.isEmpty && settled.isEmpty && jobs.isEmpty }

  /// - Parameters:
  ///   - seq: of the first record the next that the log has not, then the one after the last.
  ///   - events: those that the record settles.
  ///   - ranges: where in the record contents lie.
  package mutating func append(
    seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID] = [],
    contents ranges: [Range<Int>] = []
  ) {
    if records.isEmpty { first = seq }
    for range in ranges { contents.append(range.shifted(by: records.count)) }
    records.append(contentsOf: record)
    last = seq
    for event in events { settle(event) }
  }

  /// - Parameter event: `AcceptedEvent.encoded`.
  package mutating func accept(_ id: EventID, _ event: [UInt8]) { accepted[id] = event }

  private mutating func settle(_ event: EventID) {
    // Decided before it was ever written: the record is enough.
    if accepted.removeValue(forKey: event) == nil { settled.append(event) }
  }

  /// Empty, with the memory of another one's records.
  mutating func reuse(_ bytes: inout [UInt8]) { swap(&records, &bytes) }

  /// Gives the memory of the records away.
  mutating func takeMemory(atMost limit: Int) -> [UInt8] {
    records.removeAll(keepingCapacity: records.capacity <= limit)
    var memory: [UInt8] = []
    swap(&memory, &records)
    return memory
  }
}

/// Work on what is kept beside records and accepted events, as part of a group.
package enum LogJob: Sendable {
  // A checkpoint: its parts, then the pieces of what it says beside the stores but the first, and at last what makes it
  // one, with the first piece.
  case part(StorePart, checksum: Int64, number: Int64, checkpoint: Int64)
  case foldPiece([UInt8], number: Int64, checkpoint: Int64)
  case checkpoint(KeptCheckpoint, fold: [UInt8], digests: [UInt8])

  /// Keys of senders: all that records up to `through` have decided is in these parts, in those before them, or in
  /// others of the same group. The hashes are made with `seed`.
  case keyParts([KeyPart], from: Int64, through: Int64, seed: UInt64)

  /// A script tree, as what it changed against the one before; `seq` is the first that may use it, 0 while it is not
  /// known.
  case tree(ScriptTree.Identity, changed: [String: [UInt8]], removed: [String], seq: Int64)
  /// From which seq on a tree is used, unless that is known: with the checkpoint that has the record which says so, or
  /// where no record does.
  case treeInForce(number: Int, seq: Int64)
  /// Files that wait, in the place of those before.
  case waiting([ScriptReload.Waiting])
  /// Since when a schedule is known with its rule, nanoseconds since 1970.
  case schedule(name: String, rule: String, since: Int64)
  /// What becomes of an operation that failed for good, and when that was said.
  case mark(seq: Int64, DeadMark, time: Int64)

  // Retention. What makes a checkpoint one goes first: nobody may find it with parts that are gone.
  /// Every block that ends at this seq or before.
  case dropBlocks(through: Int64)
  case dropCheckpoint(Int64)
  /// Some parts of a checkpoint that is dropped: so many at most.
  case dropParts(checkpoint: Int64, most: Int)
  case dropKeyParts([Int64])
  /// Gives a little of the room that is free back to the system, where a store has any.
  case shrink
}
