import TriggerCore

/// How a seq ended.
public enum Outcome: UInt8, Sendable, CaseIterable {
  case committed, failed, deferred, skipped
}

/// What the sender of an event learns of one operation.
public struct OperationResult: Sendable {
  public let trigger: String
  /// The operation's first seq (its identity) and the one it was decided under.
  public let identity: Int64
  public let seq: Int64
  public let outcome: Outcome
  /// Message and traceback when it failed.
  public let error: String?
}

/// What is known of a seq.
public struct ExecutionRecord: Sendable, CustomStringConvertible {
  public enum State: Sendable, Equatable {
    case running, waiting, rerunning
    case decided(Outcome)
  }
  public let seq: Int64
  /// First seq of the same operation; equal to `seq` unless it was deferred.
  public let identity: Int64
  public let trigger: String
  public let state: State
  public let attempts: Int
  public let conflicts: Int
  /// Nanoseconds since 1970.
  public let admitted: Int64
  /// Nanoseconds since 1970; nil until decided.
  public let decided: Int64?
  public let error: String?

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
  public private(set) var count: UInt64 = 0

  public init() {}

  @inline(__always)
  public mutating func add(nanoseconds: Int64) {
    let value = UInt64(max(nanoseconds, 1))
    let exponent = 63 - value.leadingZeroBitCount
    let step = exponent >= 4 ? Int((value >> UInt64(exponent - 4)) & 15) : 0
    counts[exponent &* 16 &+ step] &+= 1
    count &+= 1
  }

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
  public var committed = 0
  public var failed = 0
  public var skipped = 0
  public var conflicts = 0
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
  public var committed = 0
  public var failed = 0
  public var skipped = 0
  public var deferred = 0
  /// Attempts that were thrown away because what they read had changed.
  public var conflicts = 0
  public var reservations = 0
  /// Operations waiting in the queue.
  public var queued = 0
  /// Finished operations waiting for the frontier.
  public var pendingCommits = 0
  /// Undecided operations with a seq.
  public var undecided = 0
  /// Deferred operations that run on without a seq.
  public var parked = 0
  /// Events that joined a queued operation, or one that a gate held.
  public var coalesced = 0
  /// Events that a trigger's `mode` let go.
  public var dropped = 0
  public var emitted = 0
  /// Superseded versions kept for snapshots that are held.
  public var retainedVersions = 0
  /// The oldest seq that an execution still reads as of; far behind `currentSeq`, somebody runs for long.
  public var oldestSnapshot: Int64 = 0
  /// Attempts that lost their snapshot because too many versions had to be kept for it.
  public var expired = 0
  /// By trigger name.
  public var triggers: [String: TriggerStats] = [:]
  /// From admission to the commit, by priority.
  public var latency: [Priority: LatencyHistogram] = [:]
  public init() {}
}
