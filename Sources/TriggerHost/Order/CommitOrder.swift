import TriggerCore

/// The one total order: gives out seqs, knows which operations are finished, and says what the frontier
/// allows next.
///
///     assign ──▶ running ──finish──▶ finished ──(frontier reaches it)──▶ decided
///                  ▲  │                  │
///                  │  └──── put off ─────┴──▶ deferred ──(frontier passes)──▶ decided
///                  └──── restart (conflict)
///
/// A pure state machine over a ring of seqs `frontier + 1 ..< next`: no threads, time comes in as a number
/// (of a clock that nobody sets).
struct CommitOrder<Element: AnyObject> {
  struct Limits {
    /// A finished operation waits this long before lower-priority operations ahead of it are deferred.
    var grace: Int64 = 1_000_000
    /// Nobody holds up a finished operation longer than this, whatever its priority.
    var hold: Int64 = 10_000_000
    /// False with `order: strict`.
    var defers = true
  }

  /// What the frontier allows.
  enum Step {
    /// The operation at the frontier is finished: check and decide it, then call `decided()`.
    case decide(Element)
    /// The seq at the frontier had been deferred and is now passed.
    case passedDeferred(seq: Int64)
    /// The operation at the frontier still runs, or there is none.
    case wait
  }

  private enum State: UInt8 { case running, finished, deferred }
  private struct Slot {
    var operation: Element?
    var state = State.running
    var priority = Priority.normal
    var orderKey: UInt64 = 0
    /// When it finished; while it runs, when it last began anew after a conflict.
    var since = MonotonicTime(nanoseconds: 0)
  }

  let limits: Limits
  private var slots: [Slot]
  private let mask: Int64
  /// The highest seq with everything up to it decided.
  private(set) var frontier: Int64
  /// The seq that `assign` gives next.
  private(set) var next: Int64
  /// Operations finished and not decided.
  private(set) var finished = 0

  /// - Parameter window: most undecided seqs at a time, a power of two.
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

  /// Gives the next seq. Precondition: not full.
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

  /// A finished operation runs again under its seq.
  mutating func restart(_ seq: Int64, at now: MonotonicTime) {
    precondition(slots[Int(seq & mask)].state == .finished, "seq \(seq) restarted while it runs")
    slots[Int(seq & mask)].state = .running
    slots[Int(seq & mask)].since = now
    finished -= 1
  }

  /// Looks at the seq after the frontier. A passed deferred seq moves the frontier; O(1).
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

  /// The operation that `step` gave is decided: the frontier moves to it.
  mutating func decided() {
    let index = Int((frontier + 1) & mask)
    precondition(slots[index].state == .finished, "decided a seq that is not finished")
    slots[index].operation = nil
    finished -= 1
    frontier += 1
  }

  /// Ends the seq as deferred; its operation goes on without a place in the order.
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

  /// The operation of an undecided `seq` while it runs.
  func running(_ seq: Int64) -> Element? {
    let slot = slots[Int(seq & mask)]
    return slot.state == .running ? slot.operation : nil
  }

  /// True while the operation of `seq` is among the undecided and finished.
  func isFinished(_ seq: Int64) -> Bool { slots[Int(seq & mask)].state == .finished }

  /// Seqs to defer now, lowest first: unfinished operations ahead of one that finished at least `grace`
  /// ago and has a higher priority, and those ahead of any that finished at least `hold` ago; each only when
  /// its attempt has itself been at work for that span. One that runs again after a conflict gets both
  /// spans anew: at the frontier it cannot conflict, so it ends. O(undecided).
  ///
  /// - Parameter work: how long an operation's attempt has been at work, in nanoseconds.
  func overdue(at now: MonotonicTime, work: (Element) -> Int64) -> [Int64] {
    guard limits.defers, finished > 0 else { return [] }
    var result: [Int64] = []
    var waiting: Priority?  // the most urgent that has waited for the grace
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

  /// Undecided seqs after `seq` with the order key, lowest first, deferred ones left out. O(undecided).
  func followers(of orderKey: UInt64, after seq: Int64) -> [Int64] {
    ((seq + 1)..<next).filter {
      let slot = slots[Int($0 & mask)]
      return slot.state != .deferred && slot.orderKey == orderKey && $0 > frontier
    }
  }

  /// Visits undecided operations in seq order, deferred ones left out. O(undecided).
  func forEachUndecided(_ body: (Int64, Element, _ finished: Bool) -> Void) {
    for seq in (frontier + 1)..<next {
      let slot = slots[Int(seq & mask)]
      if let operation = slot.operation { body(seq, operation, slot.state == .finished) }
    }
  }
}
