import TriggerCore

/// Records, accepted events and jobs that are written together: all of them or none.
package struct LogGroup: Sendable {
  /// Encoded records, one after another, and the first and the last seq of the records.
  package private(set) var records: [UInt8] = []
  package private(set) var first: Int64 = 0
  package private(set) var last: Int64 = 0
  /// When the group is written, in nanoseconds since 1970.
  package var time: Int64 = 0
  /// The places in `records` of bytes that are likely to be in other records as well, in order and apart.
  package private(set) var contents: [Range<Int>] = []
  /// Accepted events that no record of this group settles, each as `AcceptedEvent.encoded`.
  package private(set) var accepted: [EventID: [UInt8]] = [:]
  /// Accepted events of earlier groups that a record of this group settles: the log need not keep them any more.
  package private(set) var settled: [EventID] = []
  /// Other work. It comes after the records and events, in this order.
  package var jobs: [LogJob] = []

  package init(jobs: [LogJob] = []) { self.jobs = jobs }

  package var count: Int { records.isEmpty ? 0 : Int(last - first) + 1 }

  package var isEmpty: Bool { records.isEmpty && accepted.isEmpty && settled.isEmpty && jobs.isEmpty }

  /// - Parameters:
  ///   - seq: for the first record, the seq after the newest one of the log; then the seq after the record before.
  ///   - events: the accepted events that the record settles.
  ///   - ranges: the places in the record of bytes that are likely to be in other records as well.
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

  /// Adds accepted events and jobs of a group without records.
  mutating func add(_ group: LogGroup) {
    precondition(group.records.isEmpty && group.settled.isEmpty, "records come by `append`")
    accepted.merge(group.accepted) { $1 }
    jobs += group.jobs
  }

  private mutating func settle(_ event: EventID) {
    // An event that is decided before it is written needs no keeping: the record is enough.
    if accepted.removeValue(forKey: event) == nil { settled.append(event) }
  }

  /// Gives an empty group the memory of an earlier group's records.
  mutating func reuse(_ bytes: inout [UInt8]) { swap(&records, &bytes) }

  /// Removes the records and returns their memory; no memory when it is more than `limit` bytes.
  mutating func takeMemory(atMost limit: Int) -> [UInt8] {
    records.removeAll(keepingCapacity: records.capacity <= limit)
    var memory: [UInt8] = []
    swap(&memory, &records)
    return memory
  }
}

/// A change, as part of a group, of what the log keeps beside records and accepted events.
package enum LogJob: Sendable {
  // A checkpoint: first its parts, then the pieces of the encoded fold except the first, and at last the head with the
  // first piece. The head makes the checkpoint complete.
  case part(StorePart, checksum: Int64, number: Int64, checkpoint: Int64)
  case foldPiece([UInt8], number: Int64, checkpoint: Int64)
  case checkpoint(KeptCheckpoint, fold: [UInt8], digests: [UInt8])

  /// Rows of keys of senders. All rows of events that records up to `through` have decided are in these parts, in
  /// earlier parts, or in other parts of the same group. `from` is the number of the first part; `seed` is the seed of
  /// the hashes.
  case keyParts([KeyPart], from: Int64, through: Int64, seed: UInt64)

  /// A script tree, as the difference from the tree before. `seq` is the first seq that may use the tree; 0 while it is
  /// not known.
  case tree(ScriptTree.Identity, changed: [String: [UInt8]], removed: [String], seq: Int64)
  /// From which seq on a tree is used, unless that is known: with the checkpoint that has the record which says so, or
  /// where no record does.
  case treeInForce(number: Int, seq: Int64)
  /// The script files that wait. They take the place of all files that waited before.
  case waiting([ScriptReload.Waiting])
  /// Since when the host knows a schedule with this rule, in nanoseconds since 1970.
  case schedule(name: String, rule: String, since: Int64)
  /// Up to which seq a receiver has taken the effects of commits. Takes the place of what it had said before.
  case confirmed(receiver: String, seq: Int64)
  /// What sessions are, as of the seq that the receiver `SessionRow.receiver` has confirmed in the same group. A changed
  /// row takes the place of the row with the same id.
  case sessions(changed: [SessionRow], removed: [String])
  /// That an operation that failed for good is put back or let go, and when, in nanoseconds since 1970.
  case mark(seq: Int64, DeadMark, time: Int64)

  // Retention. The head of a checkpoint goes first, so that nobody finds a checkpoint whose parts are gone.
  /// Removes every block that ends at this seq or before.
  case dropBlocks(through: Int64)
  /// Removes the head of a checkpoint.
  case dropCheckpoint(Int64)
  /// Removes at most `most` parts of a checkpoint whose head is gone.
  case dropParts(checkpoint: Int64, most: Int)
  /// Removes parts of keys of senders, by number.
  case dropKeyParts([Int64])
  /// Gives a little of the store's free space back to the system, when the store has any.
  case shrink
}
