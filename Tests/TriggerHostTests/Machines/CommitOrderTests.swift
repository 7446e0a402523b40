import TestSupport
import Testing

@testable import TriggerHost

@Suite struct CommitOrderTests {
  private final class Item {
    var seq: Int64 = 0
    var work: Int64 = 0
  }
  private typealias Order = CommitOrder<Item>

  private func order(_ count: Int, limits: Order.Limits = .init()) -> (Order, [Item]) {
    var order = Order(window: 64, limits: limits)
    let items = (0..<count).map { _ in Item() }
    for item in items { item.seq = order.assign(item, priority: .normal, orderKey: 0) }
    return (order, items)
  }

  @Test func theFrontierGoesInSeqOrder() {
    var (order, items) = order(3)
    #expect(items.map(\.seq) == [1, 2, 3])
    order.finish(3, at: moment(0))
    order.finish(2, at: moment(0))
    guard case .wait = order.step() else { return #expect(Bool(false)) }
    order.finish(1, at: moment(0))
    for item in items {
      guard case .decide(let next) = order.step() else { return #expect(Bool(false)) }
      #expect(next === item)
      order.decided()
    }
    #expect(order.frontier == 3 && order.undecided == 0 && order.finished == 0)
  }

  @Test func deferredSeqsArePassed() {
    var (order, _) = order(3)
    order.putOff(2)
    order.finish(1, at: moment(0))
    _ = order.step()
    order.decided()
    guard case .passedDeferred(seq: 2) = order.step() else { return #expect(Bool(false)) }
    #expect(order.frontier == 2)
    guard case .wait = order.step() else { return #expect(Bool(false)) }
  }

  @Test func whoHoldsUpMoreUrgentWorkIsOverdue() {
    let limits = Order.Limits(grace: 10, hold: 100)
    var order = Order(window: 8, limits: limits)
    let (low, other, high) = (Item(), Item(), Item())
    _ = order.assign(low, priority: .low, orderKey: 1)
    _ = order.assign(other, priority: .high, orderKey: 2)
    _ = order.assign(high, priority: .high, orderKey: 3)
    order.finish(3, at: moment(0))
    func overdue(at now: Int64) -> [Int64] { order.overdue(at: moment(now)) { $0.work } }
    #expect(overdue(at: 50).isEmpty, "it has not been at work")
    low.work = 20
    other.work = 20
    #expect(overdue(at: 9).isEmpty, "within the grace")
    #expect(overdue(at: 10) == [1], "the low one, not the one of the same priority")
    other.work = 100
    #expect(overdue(at: 100) == [1, 2], "longer than the hold, whatever the priority")
    let strict = Order(window: 8, limits: .init(defers: false))
    #expect(strict.overdue(at: moment(1_000_000)) { _ in .max }.isEmpty)
  }

  /// Against a plain list of what was given out.
  @Test func agreesWithAList() {
    enum State { case running, finished, deferred }
    let seed = testSeed()
    var random = SplitMix64Seeded(seed)
    for _ in 0..<200 {
      var order = Order(window: 16)
      var model: [(item: Item, state: State, key: UInt64)] = []  // undecided, from frontier + 1
      var frontier: Int64 = 0
      for _ in 0..<300 {
        let at = model.isEmpty ? 0 : random.below(model.count)
        switch random.below(6) {
        case 0 where !order.isFull, 1 where !order.isFull:
          let item = Item()
          let key = UInt64(random.below(3))
          item.seq = order.assign(item, priority: .normal, orderKey: key)
          model.append((item, .running, key))
          #expect(item.seq == frontier + Int64(model.count), "seed \(seed): dense seqs")
        case 2 where !model.isEmpty && model[at].state == .running:
          order.finish(frontier + 1 + Int64(at), at: moment(0))
          model[at].state = .finished
        case 3 where !model.isEmpty && model[at].state == .finished:
          order.restart(frontier + 1 + Int64(at), at: moment(0))
          model[at].state = .running
        case 4 where !model.isEmpty && model[at].state != .deferred:
          order.putOff(frontier + 1 + Int64(at))
          model[at].state = .deferred
        default:
          switch (order.step(), model.first?.state) {
          case (.wait, nil), (.wait, .running?): break
          case (.decide(let item), .finished?):
            #expect(item === model[0].item, "seed \(seed)")
            order.decided()
            model.removeFirst()
            frontier += 1
          case (.passedDeferred(let seq), .deferred?):
            #expect(seq == frontier + 1, "seed \(seed)")
            model.removeFirst()
            frontier += 1
          default: Issue.record("seed \(seed): step does not fit the state of seq \(frontier + 1)")
          }
        }
        #expect(order.frontier == frontier && order.undecided == model.count, "seed \(seed)")
        #expect(order.finished == model.count { $0.state == .finished }, "seed \(seed)")
        let wanted = model.indices.filter { model[$0].key == 1 && model[$0].state != .deferred }
          .map { frontier + 1 + Int64($0) }
        #expect(order.followers(of: 1, after: frontier) == wanted, "seed \(seed)")
      }
    }
  }
}
