import TestSupport
import Testing

@testable import TriggerHost

@Suite struct ParkingTests {
  private final class Item {}

  @Test func aLineKeepsItsOrder() {
    var parking = Parking<Item>()
    let items = (0..<3).map { _ in Item() }
    // Parked out of order; identities say who was dequeued first.
    for index in [1, 0, 2] {
      parking.park(items[index], identity: Int64(index), orderKey: 7, isFinished: index != 0)
    }
    #expect(parking.nextReady() == nil, "the first of the line still runs")
    parking.finish(items[0])
    for index in 0..<3 {
      #expect(parking.nextReady() === items[index])
      let isLast = parking.leave(items[index])
      #expect(isLast == (index == 2))
    }
    #expect(parking.isEmpty && !parking.holds(Item(), orderKey: 7))
  }

  @Test func theReservationLetsItsHolderGoFirst() {
    var parking = Parking<Item>()
    let (holder, writer, other) = (Item(), Item(), Item())
    parking.park(holder, identity: 1, orderKey: 1, isFinished: false)
    parking.reserve(for: holder)
    parking.reserve(for: other)
    #expect(parking.holder === holder, "one at a time")
    parking.park(writer, identity: 2, orderKey: 2, isFinished: true, waitsForHolder: true)
    #expect(parking.nextReady() == nil)
    parking.finish(holder)
    #expect(parking.nextReady() === holder)
    _ = parking.leave(holder)
    #expect(parking.nextReady() == nil, "until the holder is decided")
    parking.release(holder)
    #expect(parking.nextReady() === writer)
  }

  /// Against a list that is searched from the front: everybody leaves, in the order of its key.
  @Test func everybodyLeavesInOrder() {
    let seed = testSeed()
    var random = SplitMix64Seeded(seed)
    for _ in 0..<200 {
      var parking = Parking<Item>()
      var parked: [(item: Item, identity: Int64, key: UInt64, finished: Bool)] = []
      var left: [UInt64: [Int64]] = [:]
      var next: Int64 = 0
      for step in 0..<200 {
        if random.chance(1, 3), step < 150 {
          next += 1
          let item = Item()
          let (key, finished) = (UInt64(random.below(4)), random.chance(1, 2))
          parking.park(item, identity: next, orderKey: key, isFinished: finished)
          parked.append((item, next, key, finished))
        } else if random.chance(1, 2), let index = parked.indices.first(where: { !parked[$0].finished }) {
          parking.finish(parked[index].item)
          parked[index].finished = true
        } else if let ready = parking.nextReady() {
          let index = parked.firstIndex { $0.item === ready }!
          let entry = parked.remove(at: index)
          #expect(entry.finished, "seed \(seed)")
          #expect(
            !parked.contains { $0.key == entry.key && $0.identity < entry.identity },
            "seed \(seed): overtaken")
          let isLast = parking.leave(ready)
          #expect(isLast == !parked.contains { $0.key == entry.key }, "seed \(seed)")
          left[entry.key, default: []].append(entry.identity)
        } else {
          #expect(
            !parked.contains { entry in
              entry.finished && !parked.contains { $0.key == entry.key && $0.identity < entry.identity }
            }, "seed \(seed): one is ready and was not found")
        }
        #expect(parking.count == parked.count, "seed \(seed)")
      }
      for line in left.values { #expect(line == line.sorted(), "seed \(seed)") }
    }
  }
}
