import TriggerHost

/// Fair turns among members whose works are of different urgency. A pure machine.
///
/// Each priority is a lane, and lanes have turns as members of a lane have: whatever is wanted now and then in one lane goes
/// at once, however many flood another. Where all lanes want more than there is, each has four times as much as the next
/// lower one, so that no lane starves.
struct PriorityTurns<Work> {
  /// One that wants turns, from `join` to `leave`.
  struct Member: Sendable {
    fileprivate let numbers: [FairTurns<Work>.Member]
  }

  /// A member in one lane: what is charged.
  struct Turn {
    fileprivate let lane: Int
    fileprivate let member: FairTurns<Work>.Member
  }

  private var lanes = Priority.allCases.map { _ in FairTurns<Work>() }
  /// The members are the lanes.
  private var order = FairTurns<Void>()

  init() { for _ in lanes { _ = order.join() } }

  /// Whether nobody waits.
  var isEmpty: Bool { order.isEmpty }

  mutating func join() -> Member { Member(numbers: lanes.indices.map { lanes[$0].join() }) }

  /// The member wants nothing more: all its works are done, and charged.
  mutating func leave(_ member: Member) {
    for lane in lanes.indices { lanes[lane].leave(member.numbers[lane]) }
  }

  /// The works of a member in one lane are done in the order in which they come.
  mutating func add(_ work: Work, of member: Member, _ priority: Priority) {
    let lane = Int(priority.rawValue)
    lanes[lane].add(work, of: member.numbers[lane])
    order.add((), of: lane)
  }

  /// The work that is to be done now; nil when nobody waits. It is charged before the next one is asked for.
  mutating func next() -> (turn: Turn, work: Work)? {
    guard let (lane, _) = order.next(), let (member, work) = lanes[lane].next() else { return nil }
    return (Turn(lane: lane, member: member), work)
  }

  /// The work is done.
  mutating func charge(_ cost: Int64, to turn: Turn) {
    lanes[turn.lane].charge(cost, to: turn.member)
    order.charge(max(1, cost) << (2 * Int64(turn.lane)), to: turn.lane)
  }
}
