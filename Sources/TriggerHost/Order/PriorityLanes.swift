import DequeModule

/// The order in which operations are dequeued: four first-in-first-out lanes, one per priority, the most
/// urgent first; but one dequeue in eight takes the oldest entry whatever its lane, so every wait is
/// bounded. A pure state machine: no threads, no time. Every call is O(1) except `join` with a boost.
struct PriorityLanes<Element> {
  /// One dequeue in this many takes the oldest entry.
  static var fairness: Int { 8 }

  private struct Entry {
    var element: Element
    var arrival: Int64
    var orderKey: UInt64
  }

  private var lanes: [Deque<Entry>] = Array(repeating: [], count: Priority.allCases.count)
  private var arrivals: Int64 = 0
  private var dequeues = 0
  private(set) var count = 0

  /// Adds an element behind all others of its priority. With `boosted` (its priority is above what its
  /// trigger declares) it joins the lane of an earlier entry with the same order key instead, when there
  /// is one in a lower lane: it may not overtake it. O(count) in that case.
  mutating func join(_ element: Element, priority: Priority, orderKey: UInt64, boosted: Bool = false) {
    var lane = Int(priority.rawValue)
    if boosted {
      for lower in stride(from: lanes.count - 1, to: lane, by: -1)
      where lanes[lower].contains(where: { $0.orderKey == orderKey }) {
        lane = lower
        break
      }
    }
    arrivals += 1
    lanes[lane].append(Entry(element: element, arrival: arrivals, orderKey: orderKey))
    count += 1
  }

  /// Puts an element that had been dequeued back, before all others of its priority.
  mutating func putBack(_ element: Element, priority: Priority, orderKey: UInt64) {
    lanes[Int(priority.rawValue)].prepend(Entry(element: element, arrival: 0, orderKey: orderKey))
    count += 1
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
    count -= 1
    return lanes[lane].popFirst()?.element
  }

  /// Moves a waiting element to a higher lane (coalescing with a more urgent event), keeping its arrival
  /// among the entries there. O(count).
  mutating func raise(where matches: (Element) -> Bool, to priority: Priority) {
    for lane in (Int(priority.rawValue) + 1)..<lanes.count {
      guard let index = lanes[lane].firstIndex(where: { matches($0.element) }) else { continue }
      let entry = lanes[lane].remove(at: index)
      let target = Int(priority.rawValue)
      let place = lanes[target].firstIndex { $0.arrival > entry.arrival } ?? lanes[target].count
      lanes[target].insert(entry, at: place)
      return
    }
  }
}
