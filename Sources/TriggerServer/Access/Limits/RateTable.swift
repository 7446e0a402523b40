import TriggerCore
import TriggerHost

/// How fast each of many callers may send: a token bucket for each, in one number (the generic cell rate algorithm, ITU-T
/// I.371, annex A). A pure machine: time comes from who asks.
///
/// Memory is bounded: at its capacity the table forgets who was seen least recently, who then has a full bucket again.
/// Every call is O(1).
struct RateTable<Caller: Hashable & Sendable>: Sendable {
  private struct Slot {
    var caller: Caller
    /// When the bucket is full again, in nanoseconds.
    var full: Int64
    var newer: Int
    var older: Int
  }

  /// Nanoseconds for which one request pays.
  let interval: Int64
  /// Nanoseconds of a full bucket.
  let depth: Int64
  let capacity: Int
  private var slots: [Slot] = []
  private var places: [Caller: Int] = [:]
  private var newest = -1
  private var oldest = -1

  /// - Parameter rate: requests a second, from 1 to 1,000,000,000.
  /// - Parameter burst: requests that a full bucket holds, from 1.
  /// - Parameter capacity: callers that are remembered, from 1.
  init(rate: Int, burst: Int, capacity: Int) {
    precondition((1...1_000_000_000).contains(rate) && burst >= 1 && capacity >= 1)
    interval = 1_000_000_000 / Int64(rate)
    depth = interval.multipliedReportingOverflow(by: Int64(burst)).partialValue
    precondition(depth / interval == Int64(burst))
    self.capacity = capacity
  }

  var count: Int { slots.count }

  /// Takes so many requests out of a caller's bucket, all or none. More than a full bucket holds are let pass when it is
  /// full, and paid for afterwards: otherwise they would never be.
  ///
  /// - Returns: nil, or the nanoseconds after which the same may pass.
  mutating func spend(_ count: Int = 1, of caller: Caller, at now: MonotonicTime) -> Int64? {
    let price = interval.multipliedReportingOverflow(by: Int64(count))
    // More than 292 years: nobody sends so much.
    let cost = price.overflow ? Int64.max / 4 : min(price.partialValue, .max / 4)
    let place = place(of: caller, at: now)
    let full = max(slots[place].full, now.nanoseconds)
    let wait = full - now.nanoseconds - (depth - min(cost, depth))
    if wait > 0 { return wait }
    slots[place].full = full + cost
    return nil
  }

  private mutating func place(of caller: Caller, at now: MonotonicTime) -> Int {
    if let place = places[caller] {
      detach(place)
      attach(place)
      return place
    }
    let place: Int
    if slots.count < capacity {
      place = slots.count
      slots.append(Slot(caller: caller, full: now.nanoseconds, newer: -1, older: -1))
    } else {
      place = oldest
      detach(place)
      places[slots[place].caller] = nil
      slots[place] = Slot(caller: caller, full: now.nanoseconds, newer: -1, older: -1)
    }
    places[caller] = place
    attach(place)
    return place
  }

  private mutating func detach(_ place: Int) {
    let (newer, older) = (slots[place].newer, slots[place].older)
    if newer >= 0 { slots[newer].older = older } else { newest = older }
    if older >= 0 { slots[older].newer = newer } else { oldest = newer }
  }

  private mutating func attach(_ place: Int) {
    slots[place].newer = -1
    slots[place].older = newest
    if newest >= 0 { slots[newest].newer = place } else { oldest = place }
    newest = place
  }
}
