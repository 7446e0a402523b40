import TriggerCore

/// Counters of one trigger since the start of the engine.
public struct TriggerStats: Sendable, Equatable {
  /// Seqs that ended `committed`.
  public var committed = 0
  /// Seqs that ended `failed`.
  public var failed = 0
  /// Seqs that ended `skipped`. Events that the trigger's gate dropped before they had a seq do not count.
  public var skipped = 0
  /// Attempts that were thrown away because the values that they had read have changed.
  public var conflicts = 0
  /// All counters are zero.
  public init() {}

  package mutating func count(_ outcome: Outcome) {
    switch outcome {
    case .committed: committed &+= 1
    case .failed: failed &+= 1
    case .skipped: skipped &+= 1
    case .deferred: break
    }
  }

  package static func += (left: inout TriggerStats, right: TriggerStats) {
    left.committed += right.committed
    left.failed += right.failed
    left.skipped += right.skipped
    left.conflicts += right.conflicts
  }
}

/// Counters since the start of the engine, and the state of the engine now.
public struct EngineStats: Sendable {
  /// The frontier: every seq up to this one is decided.
  public var currentSeq: Int64 = 0
  /// Seqs that ended `committed`.
  public var committed = 0
  /// Seqs that ended `failed`.
  public var failed = 0
  /// Seqs that ended `failed`, by why.
  public var failures: [FailureCode: Int] = [:]
  /// Seqs that ended `skipped`.
  public var skipped = 0
  /// Operations that have an outcome.
  package var decided: Int { committed &+ failed &+ skipped }
  /// Seqs that ended `deferred`. Their operations are counted again when they are decided.
  public var deferred = 0
  /// Attempts that were thrown away because the values that they had read have changed.
  public var conflicts = 0
  /// How often the engine reserved the keys that a deferred operation reads, because the operation had several
  /// conflicts. Operations that write these keys wait until it is decided.
  public var reservations = 0
  /// Operations that wait in the queue.
  public var queued = 0
  /// Finished operations that wait for the frontier.
  public var pendingCommits = 0
  /// Undecided operations with a seq.
  public var undecided = 0
  /// Deferred operations that go on without a seq.
  public var parked = 0
  /// Events that a newer event superseded, in the queue or at a gate.
  public var coalesced = 0
  /// Events that a trigger's `mode` dropped.
  public var dropped = 0
  /// Events that commits emitted.
  public var emitted = 0
  /// Superseded versions that the stores keep for snapshots.
  public var retainedVersions = 0
  /// The oldest seq that a running execution reads as of. Far behind `currentSeq`: an execution runs for long.
  public var oldestSnapshot: Int64 = 0
  /// Attempts that lost their snapshot because the stores kept too many versions for it.
  public var expired = 0
  /// Attempts that the engine gave up because they did not end: a script that was stuck in C, which is a defect of this
  /// engine, or a Swift trigger that did not return. Their threads and memory stay until they end.
  public var abandoned = 0
  /// Abandoned attempts that have not ended yet.
  public var stuck = 0
  /// Triggers that do not run because one of their attempts was abandoned, by name.
  public var quarantined: [String: Quarantine] = [:]
  /// Decided operations that observers (`TriggerQueue.observe`) were not told of, as they did not keep up; once for each
  /// observer.
  public var untold = 0
  /// Decided seqs that are not as durable as the log promises: nobody outside has seen them.
  public var logLag: Int64 = 0
  /// True while the disk does not keep up. Then queued operations wait.
  public var isLogBehind = false
  /// How far the backends have followed the commits, by store.
  public var backends: [String: BackendStats] = [:]
  /// Counters of each trigger, by name.
  public var triggers: [String: TriggerStats] = [:]
  /// The time from admission to decision, by priority. Failed and skipped operations count too.
  public var latency: [Priority: LatencyHistogram] = [:]
  /// All counters are zero: the engine fills them in.
  public init() {}
}

/// Counts latencies in buckets that are 1/16 of a power of two wide, so percentiles are at most 6 % off.
public struct LatencyHistogram: Sendable {
  private var counts = [UInt64](repeating: 0, count: 64 * 16)
  /// How many latencies the histogram has counted.
  public private(set) var count: UInt64 = 0

  /// An empty histogram: 1024 buckets, 8 KiB.
  public init() {}

  /// Counts one latency. A latency below 1 counts as 1. O(1).
  @inline(__always)
  public mutating func add(nanoseconds: Int64) {
    let value = UInt64(max(nanoseconds, 1))
    let exponent = 63 - value.leadingZeroBitCount
    let step = exponent >= 4 ? Int((value >> UInt64(exponent - 4)) & 15) : 0
    counts[exponent &* 16 &+ step] &+= 1
    count &+= 1
  }

  /// Adds all counts of another histogram.
  public mutating func add(_ other: LatencyHistogram) {
    for index in counts.indices { counts[index] &+= other.counts[index] }
    count &+= other.count
  }

  /// What was added since it was `earlier`.
  package func since(_ earlier: LatencyHistogram) -> LatencyHistogram {
    var added = LatencyHistogram()
    for index in counts.indices { added.counts[index] = counts[index] &- earlier.counts[index] }
    added.count = count &- earlier.count
    return added
  }

  /// The upper edge of the bucket that contains the percentile (0...100), in nanoseconds; 0 when nothing was counted.
  public func percentile(_ percent: Double) -> Int64 {
    if count == 0 { return 0 }
    let wanted = UInt64((Double(count) * percent / 100).rounded(.up))
    var seen: UInt64 = 0
    for (index, bucket) in counts.enumerated() where bucket > 0 {
      seen += bucket
      if seen >= max(wanted, 1) {
        let exponent = index / 16
        let base = Int64(1) << Int64(exponent)
        return exponent >= 4 ? base + (base >> 4) * Int64(index % 16 + 1) : base * 2
      }
    }
    return 0
  }
}

/// How far the backend of a store has followed the commits.
public struct BackendStats: Sendable, Equatable {
  /// The seq that the copy has reached. 0 before the first look at a copy that outlives the process.
  public var seq: Int64 = 0
  /// How many keys changed since, as far as counted; nil: any key may have changed.
  public var waiting: Int? = 0
  /// Since when the backend cannot follow, in nanoseconds since 1970; nil while it follows.
  public var stuckSince: Int64?
  /// Why the backend cannot follow, for people; nil while it follows.
  public var obstacle: String?
}
