import TriggerCore

/// How a seq ended.
public enum Outcome: UInt8, Sendable, CaseIterable {
  /// `committed`: its intents are applied. In the other cases nothing is.
  ///
  /// `failed`: an error, a limit, or an intent that could not apply. `deferred`: it held up others; its
  /// operation goes on under a later seq. `skipped`: it was cancelled, its trigger is gone, or the trigger's
  /// gate dropped it, which takes no seq where nobody has a name for it and no commit emitted it.
  case committed, failed, deferred, skipped
}

/// How an event ended for one trigger. Not the `Outcome` of a seq: an event may have had none of its own.
public enum OperationOutcome: UInt8, Sendable, CaseIterable {
  /// `committed`, `failed`, `skipped`: as the seq it was decided under.
  ///
  /// `superseded`: another event took its place before it had a seq (`coalesce`, `debounce`, `throttle`,
  /// `mode = "restart"`), and what it brought has not run.
  case committed = 0
  case failed = 1
  case skipped = 3
  case superseded = 4

  /// How the operation of a decided seq ended. Nil for `deferred`: the operation goes on.
  public init?(_ outcome: Outcome) {
    switch outcome {
    case .committed: self = .committed
    case .failed: self = .failed
    case .skipped: self = .skipped
    case .deferred: return nil
    }
  }
}

/// What the sender of an event learns of one operation.
public struct OperationResult: Sendable {
  /// Name of the trigger that ran.
  public let trigger: String
  /// The first seq of the operation that ran; 0 when it was dropped before it had one.
  public let identity: Int64
  /// The seq it was decided under; of what ran instead when it was superseded; 0 when it was dropped before it
  /// had one.
  public let seq: Int64
  /// How it ended.
  public let outcome: OperationOutcome
  /// How what ran instead ended; nil unless the event was superseded.
  public var instead: OperationOutcome?
  /// Message and traceback when it failed, or what ran instead did; the reason when it was dropped.
  public let error: String?
  /// When the failed operation is tried again, nanoseconds since 1970; nil: it is not.
  public var retryAt: Int64?
  /// Executions it took, as far as `TriggerQueue.observe` is told; elsewhere 1.
  public internal(set) var attempts = 1
  /// Lines that were logged beyond what is kept of an execution.
  public internal(set) var logLinesDropped = 0

  /// What the sender of an event learns whose place this one took.
  var asSuperseding: OperationResult {
    OperationResult(
      trigger: trigger, identity: identity, seq: seq, outcome: .superseded, instead: outcome, error: error,
      retryAt: retryAt)
  }
}

/// What is known of a seq.
public struct ExecutionRecord: Sendable, CustomStringConvertible {
  /// Where a seq stands.
  public enum State: Sendable, Equatable {
    /// `running`: not finished, and begun once; `rerunning`: begun more than once. `waiting`: finished, and
    /// the frontier is not there yet.
    case running, waiting, rerunning
    /// It has ended.
    case decided(Outcome)
  }
  /// The seq asked for.
  public let seq: Int64
  /// First seq of the same operation; equal to `seq` unless it was deferred.
  public let identity: Int64
  /// Name of the trigger that runs or ran.
  public let trigger: String
  /// As of the call; only `decided` is final.
  public let state: State
  /// Attempts of the operation so far, those under seqs it was deferred from too.
  public let attempts: Int
  /// How many of the attempts were thrown away because what they read had changed.
  public let conflicts: Int
  /// Nanoseconds since 1970.
  public let admitted: Int64
  /// Nanoseconds since 1970; nil until decided.
  public let decided: Int64?
  /// Message and traceback of a failure. At least the newest 1024 are kept, then nil.
  public let error: String?

  /// `seq 7 rsi: committed, attempts 2, conflicts 1, 3.1 ms from admission`.
  public var description: String {
    let state =
      switch state {
      case .running: "running"
      case .waiting: "waiting"
      case .rerunning: "rerunning"
      case .decided(let outcome): "\(outcome)"
      }
    var text = "seq \(seq) \(trigger): \(state), attempts \(attempts), conflicts \(conflicts)"
    if identity != seq { text += ", first seq \(identity)" }
    if let decided { text += ", \(Double(decided - admitted) / 1_000_000) ms from admission" }
    if let error { text += ", error: \(error)" }
    return text
  }
}

/// The newest decided seqs, in a ring. Guarded by the engine lock.
struct RecordRing {
  struct Item {
    var seq: Int64 = 0
    var identity: Int64 = 0
    var admitted: Int64 = 0
    var decided: Int64 = 0
    var trigger: Int32 = 0
    var attempts: Int32 = 0
    var conflicts: Int32 = 0
    var outcome = Outcome.committed
  }

  private var items: [Item]
  private let mask: Int64
  private var errors: [Int64: String] = [:]
  private var errorSeqs: [Int64] = []
  private let errorsKept = 1024

  init(capacity: Int) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0)
    items = Array(repeating: Item(), count: capacity)
    mask = Int64(capacity - 1)
  }

  @inline(__always)
  mutating func store(_ item: Item) { items[Int(item.seq & mask)] = item }

  mutating func store(error: String, for seq: Int64) {
    errors[seq] = error
    errorSeqs.append(seq)
    if errorSeqs.count > 2 * errorsKept {
      for old in errorSeqs.prefix(errorsKept) { errors[old] = nil }
      errorSeqs.removeFirst(errorsKept)
    }
  }

  func item(for seq: Int64) -> Item? {
    let item = items[Int(seq & mask)]
    return item.seq == seq && seq > 0 ? item : nil
  }

  func error(for seq: Int64) -> String? { errors[seq] }

  /// Newest first.
  func newestErrors(_ count: Int) -> [(seq: Int64, error: String)] {
    errorSeqs.suffix(count).reversed().compactMap { seq in errors[seq].map { (seq, $0) } }
  }
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

  mutating func count(_ outcome: Outcome) {
    switch outcome {
    case .committed: committed &+= 1
    case .failed: failed &+= 1
    case .skipped: skipped &+= 1
    case .deferred: break
    }
  }

  static func += (left: inout TriggerStats, right: TriggerStats) {
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
  /// Seqs that ended `skipped`.
  public var skipped = 0
  /// Operations that have an outcome.
  var decided: Int { committed &+ failed &+ skipped }
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
  /// Decided operations that `TriggerQueue.observe` was not told of, as it did not keep up.
  public var untold = 0
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
