import DequeModule
import HeapModule

/// Who goes next where many want something of one that does one thing at a time: whoever has had least of it. A pure
/// machine (start-time fair queueing: Goyal, Vin and Cheng, "Start-time Fair Queueing", 1996, section 2).
///
/// Each member has a line of works. The first of a line gets a start: what its member has had so far, and no less than the
/// start of the work that began last. The lowest start goes first, and of equal ones who came first. So members that always
/// want more get the same of it; one that is new, or wants something now and then, waits for no more than one work of each
/// member that came to the same start before it; and nobody saves up turns while it wants nothing.
///
/// What a work costs is known once it is done, in whatever unit. `add`, `next` and `charge` are O(log members).
struct FairTurns<Work> {
  /// One that wants turns, from `join` to `leave`.
  typealias Member = Int

  private struct Line {
    var works = Deque<Work>()
    /// Of the first work.
    var start: Int64 = 0
    /// What its member has had.
    var finish: Int64 = 0
    /// The first work waits or is being done.
    var isUp = false
  }

  private struct Place: Comparable {
    let start: Int64
    let order: UInt64
    let member: Member

    static func < (a: Place, b: Place) -> Bool { (a.start, a.order) < (b.start, b.order) }
  }

  private var lines: [Line] = []
  private var free: [Member] = []
  private var waiting = Heap<Place>()
  /// The start of the work that began last.
  private var time: Int64 = 0
  private var order: UInt64 = 0

  /// Whether nobody waits.
  var isEmpty: Bool { waiting.isEmpty }

  /// A new member, which has had as much as whoever goes now.
  mutating func join() -> Member {
    if let member = free.popLast() {
      lines[member] = Line()
      return member
    }
    lines.append(Line())
    return lines.count - 1
  }

  /// The member wants nothing more: all its works are done, and charged.
  mutating func leave(_ member: Member) {
    assert(!lines[member].isUp)
    free.append(member)
  }

  /// The works of a member are done in the order in which they come.
  mutating func add(_ work: Work, of member: Member) {
    lines[member].works.append(work)
    if !lines[member].isUp { lineUp(member) }
  }

  private mutating func lineUp(_ member: Member) {
    let start = max(time, lines[member].finish)
    lines[member].start = start
    lines[member].isUp = true
    order += 1
    waiting.insert(Place(start: start, order: order, member: member))
  }

  /// The work that is to be done now; nil when nobody waits. It is charged before its member has another turn.
  mutating func next() -> (member: Member, work: Work)? {
    guard let place = waiting.popMin() else { return nil }
    time = place.start
    return (place.member, lines[place.member].works.removeFirst())
  }

  /// The member's work is done.
  ///
  /// - Parameter cost: at least 1, so that works without cost do not hold up the others.
  mutating func charge(_ cost: Int64, to member: Member) {
    lines[member].finish = lines[member].start + max(1, cost)
    lines[member].isUp = false
    if !lines[member].works.isEmpty { lineUp(member) }
  }
}
