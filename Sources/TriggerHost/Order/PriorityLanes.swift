import DequeModule

/// The order in which operations are dequeued. There is one first-in-first-out lane per priority, and the most urgent
/// lane goes first. One dequeue in eight takes the oldest entry of all lanes, so every wait is bounded. A pure state
/// machine. Every call is O(1), except `raise`, and the first `join` of an entry that is more urgent than usual.
///
/// Entries with equal order keys leave in the order in which they joined: a later entry never stands in a more urgent
/// lane than an earlier one. Usually all entries of an order key have the same priority, and nothing is kept about the
/// key. Other keys are tracked.
struct PriorityLanes<Element> {
  /// One dequeue in this many takes the oldest entry.
  static var fairness: Int { 8 }

  private struct Entry {
    var element: Element
    var arrival: Int64
    var orderKey: UInt64
    var isTracked: Bool
  }

  /// While any of `count` entries of an order key waits, later entries of the key join no lane more urgent than `lane`.
  private struct Track {
    var lane: Int
    var count: Int
  }

  private var tracks: [UInt64: Track] = [:]
  /// How many entries of each order key stand in each lane. Nil until an entry joins that is more urgent than usual for
  /// its key, and again when the queue is empty: usually nobody asks.
  private var places: [UInt64: SIMD4<Int32>]?
  /// How many entries were searched so far, by calls that search the queue.
  var steps = 0
  private var lanes: [Deque<Entry>] = Array(repeating: [], count: Priority.allCases.count)
  private var arrivals: Int64 = 0
  private var dequeues = 0
  private(set) var count = 0

  /// Adds an element behind all others of its priority. When an entry with its order key waits in a less urgent lane,
  /// the element joins that lane.
  ///
  /// - Parameter usual: the priority of most elements with its order key; nil: `priority`.
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

  /// The least urgent lane with an entry of the order key, among the lanes up to `lowest`. O(1); the first call is
  /// O(count).
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

  /// The lane of the element that was dequeued last.
  private(set) var lane = 0

  /// Keeps the place of the element that was dequeued last, because it will be put back: elements with its order key
  /// that join meanwhile stay behind it.
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

  /// Removes and returns the next element.
  ///
  /// - Parameter atLeast: the lowest priority to take, above `low` for a reserve worker. A dequeue above `low` does not
  ///   count for `fairness`.
  mutating func dequeue(atLeast: Priority = .low) -> Element? {
    if count == 0 { return nil }
    if atLeast == .low {
      dequeues += 1
      if dequeues % Self.fairness == 0, let lane = oldestLane { return take(lane) }
    }
    for lane in 0...Int(atLeast.rawValue) where !lanes[lane].isEmpty { return take(lane) }
    return nil
  }

  /// The element that the next `dequeue()` would return.
  var next: Element? {
    if count == 0 { return nil }
    if (dequeues + 1) % Self.fairness == 0, let lane = oldestLane { return lanes[lane].first?.element }
    for lane in lanes where !lane.isEmpty { return lane.first?.element }
    return nil
  }

  /// Calls `body` with every element that waits. O(count).
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

  /// Moves a waiting element to a more urgent lane, because a more urgent event coalesced with it. There it stands by
  /// its arrival. It does not pass the lane of an entry with its order key that joined before it. O(count).
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
