import TriggerCore

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
  /// Why it failed. At least the newest 1024 are kept, then nil.
  public let failure: Failure?
  /// Message and traceback of the failure.
  public var error: String? { failure?.message }

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
  private var errors: [Int64: Failure] = [:]
  private var errorSeqs: [Int64] = []
  private let errorsKept = 1024

  init(capacity: Int) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0)
    items = Array(repeating: Item(), count: capacity)
    mask = Int64(capacity - 1)
  }

  @inline(__always)
  mutating func store(_ item: Item) { items[Int(item.seq & mask)] = item }

  mutating func store(_ failure: Failure, for seq: Int64) {
    errors[seq] = failure
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

  func failure(for seq: Int64) -> Failure? { errors[seq] }

  /// Newest first.
  func newestErrors(_ count: Int) -> [(seq: Int64, error: String)] {
    errorSeqs.suffix(count).reversed().compactMap { seq in errors[seq].map { (seq, $0.message) } }
  }
}
