import TestSupport
import Testing

@testable import TriggerHost

@Suite struct PriorityLanesTests {
  @Test func mostUrgentFirstThenArrival() {
    var lanes = PriorityLanes<String>()
    for (name, priority) in [("a", Priority.low), ("b", .high), ("c", .critical), ("d", .high)] {
      lanes.join(name, priority: priority, orderKey: 0)
    }
    #expect(lanes.mostUrgent == .critical)
    #expect((0..<4).map { _ in lanes.dequeue() } == ["c", "b", "d", "a"])
    #expect(lanes.dequeue() == nil && lanes.count == 0 && lanes.mostUrgent == nil)
  }

  @Test func oneInEightTakesTheOldest() {
    var lanes = PriorityLanes<Int>()
    lanes.join(-1, priority: .low, orderKey: 0)
    for n in 0..<100 { lanes.join(n, priority: .high, orderKey: 0) }
    let taken = (0..<8).map { _ in lanes.dequeue()! }
    #expect(taken == [0, 1, 2, 3, 4, 5, 6, -1])
  }

  /// Whatever comes, an entry that is the oldest waits for eight dequeues at most.
  @Test func everyWaitIsBounded() {
    let seed = testSeed()
    var random = SplitMix64Seeded(seed)
    var lanes = PriorityLanes<Int>()
    var waiting: [(id: Int, priority: Priority)] = []
    var (next, oldestSince) = (0, 0)
    for step in 0..<20_000 {
      if random.chance(1, 2) || waiting.isEmpty {
        let priority = random.pick(Priority.allCases)
        lanes.join(next, priority: priority, orderKey: UInt64(next))
        if waiting.isEmpty { oldestSince = 0 }
        waiting.append((next, priority))
        next += 1
      } else {
        let taken = lanes.dequeue()!
        let index = waiting.firstIndex { $0.id == taken }!
        let best = waiting.map(\.priority).max()!
        let isUrgent = waiting.first { $0.priority == best }!.id == taken
        #expect(isUrgent || index == 0, "seed \(seed), step \(step): neither the most urgent nor the oldest")
        waiting.remove(at: index)
        oldestSince = index == 0 ? 0 : oldestSince + 1
        #expect(oldestSince < PriorityLanes<Int>.fairness, "seed \(seed), step \(step): the oldest starves")
      }
      #expect(lanes.count == waiting.count)
    }
  }

  @Test func reserveWorkersTakeTheirPartOnly() {
    var lanes = PriorityLanes<String>()
    lanes.join("low", priority: .low, orderKey: 0)
    lanes.join("high", priority: .high, orderKey: 0)
    #expect(lanes.dequeue(atLeast: .critical) == nil)
    #expect(lanes.dequeue(atLeast: .high) == "high")
    #expect(lanes.dequeue(atLeast: .normal) == nil)
    #expect(lanes.count == 1)
  }

  @Test func putBackAndRaiseKeepThePlace() {
    var lanes = PriorityLanes<String>()
    for (key, name) in ["a", "b", "c"].enumerated() {
      lanes.join(name, priority: .normal, orderKey: UInt64(key))
    }
    let first = lanes.dequeue()!
    lanes.keepPlace(orderKey: 0)
    lanes.putBack(first, lane: lanes.lane, orderKey: 0)
    lanes.join("urgent", priority: .high, orderKey: 1)
    lanes.raise(where: { $0 == "b" }, to: .high)
    // b arrived before urgent.
    #expect((0..<4).map { _ in lanes.dequeue() } == ["b", "urgent", "a", "c"])
  }

  @Test func aBoostDoesNotOvertakeItsOwnKey() {
    var lanes = PriorityLanes<String>()
    lanes.join("first", priority: .low, orderKey: 7)
    lanes.join("second", priority: .critical, orderKey: 7, usual: .low)
    lanes.join("other", priority: .critical, orderKey: 8, usual: .low)
    #expect((0..<3).map { _ in lanes.dequeue() } == ["other", "first", "second"])
  }

  /// Whatever priorities its elements have, and though some are put back, a key keeps its order.
  @Test func aKeyKeepsItsOrder() {
    let seed = testSeed()
    var random = SplitMix64Seeded(seed)
    struct Element: Equatable { var key: UInt64, number: Int }
    for round in 0..<300 {
      let usual = random.pick(Priority.allCases)
      var lanes = PriorityLanes<Element>()
      var held: [(element: Element, lane: Int)] = []
      var (next, taken) = (0, [UInt64: Int]())
      for step in 0..<100 {
        if step < 70, random.chance(1, 2) {
          let element = Element(key: random.pick([1, 2, 3]), number: next)
          let priority = random.chance(2, 3) ? usual : random.pick(Priority.allCases)
          lanes.join(element, priority: priority, orderKey: element.key, usual: usual)
          next += 1
        } else if random.chance(1, 5), let key = held.first?.element.key {
          for item in held.reversed() where item.element.key == key {
            lanes.putBack(item.element, lane: item.lane, orderKey: key)
          }
          held.removeAll { $0.element.key == key }
        } else if let element = lanes.dequeue() {
          if held.contains(where: { $0.element.key == element.key }) || random.chance(1, 6) {
            lanes.keepPlace(orderKey: element.key)
            held.append((element, lanes.lane))
          } else {
            #expect(taken[element.key, default: -1] < element.number, "seed \(seed), round \(round)")
            taken[element.key] = element.number
          }
        }
      }
    }
  }
}
