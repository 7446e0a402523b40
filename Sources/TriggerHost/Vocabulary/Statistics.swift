import TriggerCore

/// Counters of one trigger since start.
public struct TriggerStats: Sendable, Equatable {
  /// Seqs that ended `committed`.
  public var committed = 0
  /// Seqs that ended `failed`.
  public var failed = 0
  /// Seqs that ended `skipped`; events dropped at the trigger's gate had no seq and do not count.
  public var skipped = 0
  /// Attempts that were thrown away because what they read had changed.
  public var conflicts = 0
  /// All zero.
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

/// Counters since start, and what is going on now.
public struct EngineStats: Sendable {
  /// The frontier: everything up to this seq is decided.
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
  /// Seqs that ended `deferred`; their operations are counted again when they are decided.
  public var deferred = 0
  /// Attempts that were thrown away because what they read had changed.
  public var conflicts = 0
  /// Times that the last read set of an operation was reserved for it, after several conflicts.
  public var reservations = 0
  /// Operations waiting in the queue.
  public var queued = 0
  /// Finished operations waiting for the frontier.
  public var pendingCommits = 0
  /// Undecided operations with a seq.
  public var undecided = 0
  /// Deferred operations that run on without a seq.
  public var parked = 0
  /// Events whose place another took, in the queue or at a gate.
  public var coalesced = 0
  /// Events that a trigger's `mode` let go.
  public var dropped = 0
  /// Events that commits emitted.
  public var emitted = 0
  /// Superseded versions kept for snapshots that are held.
  public var retainedVersions = 0
  /// The oldest seq that an execution still reads as of; far behind `currentSeq`, somebody runs for long.
  public var oldestSnapshot: Int64 = 0
  /// Attempts that lost their snapshot because too many versions had to be kept for it.
  public var expired = 0
  /// Attempts that were given up, as they could not be ended: a script that was stuck in C, which is a defect of this
  /// engine, or a Swift trigger that did not return. The thread, and what it has in memory, stays until it comes to its
  /// end.
  public var abandoned = 0
  /// Of these, the ones that have not come to their end.
  public var stuck = 0
  /// Triggers that do not run because of that, by name.
  public var quarantined: [String: Quarantine] = [:]
  /// Decided operations that observers (`TriggerQueue.observe`) were not told of, as they did not keep up; once for each
  /// observer.
  public var untold = 0
  /// Decided seqs that are not as durable as the log promises: nobody outside has seen them.
  public var logLag: Int64 = 0
  /// The disk does not keep up: nothing new is taken from the queue until it does.
  public var isLogBehind = false
  /// How far the backends that follow the commits are, by store.
  public var backends: [String: BackendStats] = [:]
  /// By trigger name.
  public var triggers: [String: TriggerStats] = [:]
  /// From admission to the decision, by priority; failed and skipped operations count too.
  public var latency: [Priority: LatencyHistogram] = [:]
  /// All zero: the engine fills it in.
  public init() {}
}

/// Counts latencies in buckets that are 1/16 of a power of two wide: percentiles within 6 %.
public struct LatencyHistogram: Sendable {
  private var counts = [UInt64](repeating: 0, count: 64 * 16)
  /// How many latencies were added.
  public private(set) var count: UInt64 = 0

  /// Empty: 1024 buckets, 8 KiB.
  public init() {}

  /// Counts one latency; anything below 1 counts as 1. O(1).
  @inline(__always)
  public mutating func add(nanoseconds: Int64) {
    let value = UInt64(max(nanoseconds, 1))
    let exponent = 63 - value.leadingZeroBitCount
    let step = exponent >= 4 ? Int((value >> UInt64(exponent - 4)) & 15) : 0
    counts[exponent &* 16 &+ step] &+= 1
    count &+= 1
  }

  /// Takes over all counts of another histogram.
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

  /// Upper edge of the bucket that holds the percentile (0...100), in nanoseconds; 0 when empty.
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

/// How far the backend of a store is.
public struct BackendStats: Sendable, Equatable {
  /// The seq its copy is at; 0 until a copy that outlives the process has been looked at.
  public var seq: Int64 = 0
  /// Keys that changed since, as far as they were counted; nil when any key may have.
  public var waiting: Int? = 0
  /// Since when it cannot follow, nanoseconds since 1970; nil while it does.
  public var stuckSince: Int64?
  /// Why it cannot.
  public var obstacle: String?
}
