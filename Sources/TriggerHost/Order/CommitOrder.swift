import TriggerCore

/// The one total order. It assigns seqs, knows which operations are finished, and says what is to be decided next. The
/// frontier is the highest seq up to which every seq is decided.
///
///     assign ──▶ running ──finish──▶ finished ──(frontier reaches it)──▶ decided
///                  ▲  │                  │
///                  │  └──── put off ─────┴──▶ deferred ──(frontier passes)──▶ decided
///                  └──── restart (conflict)
///
/// A pure state machine over a ring of seqs `frontier + 1 ..< next`. It has no threads. Times are parameters, of a
/// clock that nobody can set.
struct CommitOrder<Element: AnyObject> {
  struct Limits {
    /// How long a finished operation waits before operations of lower priority ahead of it are deferred, in
    /// nanoseconds.
    var grace: Int64 = 1_000_000
    /// How long a finished operation waits before operations of any priority ahead of it are deferred, in nanoseconds.
    var hold: Int64 = 10_000_000
    /// False with `order: strict`.
    var defers = true
  }

  /// What to do with the seq after the frontier.
  enum Step {
    /// The seq's operation is finished: check and decide it, then call `decided()`.
    case decide(Element)
    /// The seq was deferred. The frontier has passed it.
    case passedDeferred(seq: Int64)
    /// The seq's operation still runs, or no operation has the seq.
    case wait
  }

  private enum State: UInt8 { case running, finished, deferred }
  private struct Slot {
    var operation: Element?
    var state = State.running
    var priority = Priority.normal
    var orderKey: UInt64 = 0
    /// When the operation finished. While it runs: when it last began anew after a conflict.
    var since = MonotonicTime(nanoseconds: 0)
  }

  let limits: Limits
  private var slots: [Slot]
  private let mask: Int64
  /// The highest seq up to which every seq is decided.
  private(set) var frontier: Int64
  /// The seq that `assign` gives next.
  private(set) var next: Int64
  /// The number of operations that are finished and not decided.
  private(set) var finished = 0

  /// - Parameter window: the most undecided seqs at a time, a power of two.
  init(window: Int, frontier: Int64 = 0, limits: Limits = Limits()) {
    precondition(window > 0 && window & (window - 1) == 0, "window must be a power of two, got \(window)")
    slots = Array(repeating: Slot(), count: window)
    mask = Int64(window - 1)
    self.frontier = frontier
    next = frontier + 1
    self.limits = limits
  }

  var undecided: Int { Int(next - frontier - 1) }
  var isFull: Bool { undecided == slots.count }

  /// Gives the operation the next seq. Precondition: not full.
  mutating func assign(_ operation: Element, priority: Priority, orderKey: UInt64) -> Int64 {
    precondition(!isFull, "assign without room in the window")
    let seq = next
    next += 1
    slots[Int(seq & mask)] = Slot(operation: operation, priority: priority, orderKey: orderKey)
    return seq
  }

  mutating func finish(_ seq: Int64, at now: MonotonicTime) {
    precondition(slots[Int(seq & mask)].state == .running, "seq \(seq) finished twice")
    slots[Int(seq & mask)].state = .finished
    slots[Int(seq & mask)].since = now
    finished += 1
  }

  /// Notes that a finished operation runs again under its seq.
  mutating func restart(_ seq: Int64, at now: MonotonicTime) {
    precondition(slots[Int(seq & mask)].state == .finished, "seq \(seq) restarted while it runs")
    slots[Int(seq & mask)].state = .running
    slots[Int(seq & mask)].since = now
    finished -= 1
  }

  /// Says what to do with the seq after the frontier. Moves the frontier past a deferred seq. O(1).
  mutating func step() -> Step {
    guard frontier + 1 < next else { return .wait }
    let index = Int((frontier + 1) & mask)
    switch slots[index].state {
    case .running: return .wait
    case .finished: return .decide(slots[index].operation!)
    case .deferred:
      frontier += 1
      return .passedDeferred(seq: frontier)
    }
  }

  /// Notes that the operation that `step` gave is decided: the frontier moves to its seq.
  mutating func decided() {
    let index = Int((frontier + 1) & mask)
    precondition(slots[index].state == .finished, "decided a seq that is not finished")
    slots[index].operation = nil
    finished -= 1
    frontier += 1
  }

  /// Ends the seq as deferred. Its operation goes on without a place in the order.
  mutating func putOff(_ seq: Int64) {
    let index = Int(seq & mask)
    precondition(
      seq > frontier && seq < next && slots[index].state != .deferred, "seq \(seq) cannot be deferred")
    if slots[index].state == .finished { finished -= 1 }
    slots[index].state = .deferred
    slots[index].operation = nil
  }

  func isUndecided(_ seq: Int64) -> Bool { seq > frontier && seq < next }

  /// The undecided operation of `seq`; nil when it was deferred.
  func undecidedOperation(_ seq: Int64) -> Element? { slots[Int(seq & mask)].operation }

  /// The operation of an undecided `seq`; nil when it does not run any more.
  func running(_ seq: Int64) -> Element? {
    let slot = slots[Int(seq & mask)]
    return slot.state == .running ? slot.operation : nil
  }

  /// True while the operation of an undecided `seq` is finished.
  func isFinished(_ seq: Int64) -> Bool { slots[Int(seq & mask)].state == .finished }

  /// The seqs to defer now, lowest first. O(undecided).
  ///
  /// These are the running operations ahead of an operation that finished at least `grace` ago and has a higher
  /// priority, and the running operations ahead of any operation that finished at least `hold` ago. A running operation
  /// is deferred only when its own attempt has worked for that span. When a finished operation runs again after a
  /// conflict, both spans begin anew. At the frontier it cannot conflict again, so this ends.
  ///
  /// - Parameter work: how long an operation's attempt has worked, in nanoseconds.
  func overdue(at now: MonotonicTime, work: (Element) -> Int64) -> [Int64] {
    guard limits.defers, finished > 0 else { return [] }
    var result: [Int64] = []
    var waiting: Priority?  // the highest priority of the operations that have waited for the grace
    var isHeldUp = false
    for seq in stride(from: next - 1, to: frontier, by: -1) {
      let slot = slots[Int(seq & mask)]
      switch slot.state {
      case .deferred: continue
      case .finished:
        if now - slot.since >= limits.grace { waiting = Swift.max(waiting ?? .low, slot.priority) }
        if now - slot.since >= limits.hold { isHeldUp = true }
      case .running:
        let isOutranked = waiting.map { slot.priority < $0 } ?? false
        guard isOutranked || isHeldUp, let operation = slot.operation else { continue }
        let work = work(operation)
        if isOutranked && work >= limits.grace || isHeldUp && work >= limits.hold { result.append(seq) }
      }
    }
    return result.reversed()
  }

  /// The undecided seqs after `seq` with this order key, lowest first, without deferred seqs. O(undecided).
  func followers(of orderKey: UInt64, after seq: Int64) -> [Int64] {
    ((seq + 1)..<next).filter {
      let slot = slots[Int($0 & mask)]
      return slot.state != .deferred && slot.orderKey == orderKey && $0 > frontier
    }
  }

  /// Calls `body` with every undecided operation in seq order, without deferred operations. O(undecided).
  func forEachUndecided(_ body: (Int64, Element, _ finished: Bool) -> Void) {
    for seq in (frontier + 1)..<next {
      let slot = slots[Int(seq & mask)]
      if let operation = slot.operation { body(seq, operation, slot.state == .finished) }
    }
  }
}
