import DequeModule

/// The order in which operations are dequeued: four first-in-first-out lanes, one per priority, the most
/// urgent first; but one dequeue in eight takes the oldest entry whatever its lane, so every wait is
/// bounded. A pure state machine: no threads, no time. Every call is O(1) except
/// `raise`, and the first `join` with a boost.
///
/// Entries with equal order keys leave in the order they joined in: a later one never stands in a more urgent
/// lane than an earlier one. As a rule all of a key have the same priority, and nothing needs to be known of it;
/// keys for which it is otherwise are tracked.
struct PriorityLanes<Element> {
  /// One dequeue in this many takes the oldest entry.
  static var fairness: Int { 8 }

  private struct Entry {
    var element: Element
    var arrival: Int64
    var orderKey: UInt64
    var isTracked: Bool
  }

  /// Later entries of an order key join no lane more urgent than `lane` while any of `count` is waiting.
  private struct Track {
    var lane: Int
    var count: Int
  }

  private var tracks: [UInt64: Track] = [:]
  /// How many entries of each order key stand in each lane; nil until an entry is more urgent than most of its key, and
  /// when the queue is empty again: as a rule nobody asks.
  private var places: [UInt64: SIMD4<Int32>]?
  /// Entries that were looked at so far by calls that look at many.
  var steps = 0
  private var lanes: [Deque<Entry>] = Array(repeating: [], count: Priority.allCases.count)
  private var arrivals: Int64 = 0
  private var dequeues = 0
  private(set) var count = 0

  /// Adds an element behind all others of its priority, or of a less urgent lane when one with its order key
  /// waits there.
  ///
  /// - Parameter usual: what most elements of its order key have for a priority.
  mutating func join(_ element: Element, priority: Priority, orderKey: UInt64, usual: Priority? = nil) {
    var lane = Int(priority.rawValue)
    let usual = usual ?? priority
    if priority > usual {
      lane = max(lane, lastLane(of: orderKey, from: Int(usual.rawValue)) ?? lane)
    }
    let isTracked = priority < usual || !tracks.isEmpty && tracks[orderKey] != nil
    if isTracked { lane = track(orderKey, lane) }
    arrivals += 1
    lanes[lane].append(
      Entry(element: element, arrival: arrivals, orderKey: orderKey, isTracked: isTracked))
    count += 1
    if places != nil { place(orderKey, lane, 1) }
  }

  /// The least urgent lane, from `lowest` on, that has an entry of the key. O(1), and once O(count).
  private mutating func lastLane(of orderKey: UInt64, from lowest: Int) -> Int? {
    if places == nil {
      places = [:]
      steps += count
      for lane in lanes.indices { for entry in lanes[lane] { place(entry.orderKey, lane, 1) } }
    }
    guard let counts = places![orderKey] else { return nil }
    return (0...lowest).last { counts[$0] > 0 }
  }

  private mutating func place(_ orderKey: UInt64, _ lane: Int, _ change: Int32) {
    places![orderKey, default: SIMD4()][lane] += change
    if places![orderKey] == SIMD4() { places![orderKey] = nil }
  }

  private mutating func track(_ orderKey: UInt64, _ lane: Int) -> Int {
    let lane = max(lane, tracks[orderKey]?.lane ?? 0)
    tracks[orderKey, default: Track(lane: lane, count: 0)].count += 1
    tracks[orderKey]!.lane = lane
    return lane
  }

  private mutating func untrack(_ orderKey: UInt64) {
    guard let track = tracks[orderKey] else { return }
    if track.count == 1 { tracks[orderKey] = nil } else { tracks[orderKey]!.count -= 1 }
  }

  /// The lane that `dequeue` took the last element from.
  private(set) var lane = 0

  /// What was just dequeued will be put back: what joins with its order key meanwhile stays behind it.
  mutating func keepPlace(orderKey: UInt64) { _ = track(orderKey, lane) }

  /// Puts an element whose place was kept back into its lane, before all others.
  mutating func putBack(_ element: Element, lane: Int, orderKey: UInt64) {
    lanes[lane].prepend(Entry(element: element, arrival: 0, orderKey: orderKey, isTracked: true))
    count += 1
    if places != nil { place(orderKey, lane, 1) }
  }

  /// The priority of the most urgent entry, nil when empty.
  var mostUrgent: Priority? {
    for lane in 0..<lanes.count where !lanes[lane].isEmpty { return Priority(rawValue: UInt8(lane)) }
    return nil
  }

  /// Takes the next element. `atLeast` limits it to that priority and above (a reserve worker's part);
  /// those dequeues take no part in the fairness count.
  mutating func dequeue(atLeast: Priority = .low) -> Element? {
    if count == 0 { return nil }
    if atLeast == .low {
      dequeues += 1
      if dequeues % Self.fairness == 0, let lane = oldestLane { return take(lane) }
    }
    for lane in 0...Int(atLeast.rawValue) where !lanes[lane].isEmpty { return take(lane) }
    return nil
  }

  /// What the next `dequeue()` would take, without taking it.
  var next: Element? {
    if count == 0 { return nil }
    if (dequeues + 1) % Self.fairness == 0, let lane = oldestLane { return lanes[lane].first?.element }
    for lane in lanes where !lane.isEmpty { return lane.first?.element }
    return nil
  }

  /// Visits everything that waits. O(count).
  func forEach(_ body: (Element) -> Void) {
    for lane in lanes { for entry in lane { body(entry.element) } }
  }

  private var oldestLane: Int? {
    var oldest: (lane: Int, arrival: Int64)?
    for lane in 0..<lanes.count {
      guard let first = lanes[lane].first else { continue }
      if oldest == nil || first.arrival < oldest!.arrival { oldest = (lane, first.arrival) }
    }
    return oldest?.lane
  }

  @inline(__always)
  private mutating func take(_ lane: Int) -> Element? {
    guard let entry = lanes[lane].popFirst() else { return nil }
    count -= 1
    self.lane = lane
    if places != nil {
      place(entry.orderKey, lane, -1)
      if count == 0 { places = nil }
    }
    if entry.isTracked { untrack(entry.orderKey) }
    return entry.element
  }

  /// Moves a waiting element to a higher lane (coalescing with a more urgent event), keeping its arrival
  /// among the entries there; not past the lane of one with its order key that joined before it. O(count).
  mutating func raise(where matches: (Element) -> Bool, to priority: Priority) {
    steps += count
    for lane in (Int(priority.rawValue) + 1)..<lanes.count {
      guard let index = lanes[lane].firstIndex(where: { matches($0.element) }) else { continue }
      let entry = lanes[lane].remove(at: index)
      let before = lanes.lastIndex { lane in
        lane.contains { $0.orderKey == entry.orderKey && $0.arrival < entry.arrival }
      }
      let target = min(lane, max(Int(priority.rawValue), before ?? 0))
      let place = lanes[target].firstIndex { $0.arrival > entry.arrival } ?? lanes[target].count
      lanes[target].insert(entry, at: place)
      if places != nil {
        self.place(entry.orderKey, lane, -1)
        self.place(entry.orderKey, target, 1)
      }
      return
    }
  }
}
