import TestSupport
import Testing

@testable import TriggerServer

@Suite struct FairTurnsTests {
  private typealias Turns = FairTurns<Int>

  /// Does the next work; what it costs, and whose it is.
  private func go(_ turns: inout Turns, _ cost: (Int) -> Int64) -> (member: Int, cost: Int64)? {
    guard let (member, work) = turns.next() else { return nil }
    turns.charge(cost(work), to: member)
    return (member, cost(work))
  }

  /// Members that always want more have had the same, up to the cost of one work, at any moment.
  @Test func sharesAreEven() throws {
    let seed = testSeed()
    var random = Xorshift(seed)
    for _ in 0..<50 {
      var turns = Turns()
      let members = (0..<Int.random(in: 2...20, using: &random)).map { _ in turns.join() }
      let most = members.map { _ in Int64.random(in: 1...1_000, using: &random) }
      var had = members.map { _ in Int64(0) }
      for member in members { for _ in 0..<2 { turns.add(0, of: member) } }
      for _ in 0..<2_000 {
        guard let (member, _) = turns.next() else {
          Issue.record("SEED=\(seed): nobody waits")
          return
        }
        let cost = Int64.random(in: 1...most[member], using: &random)
        turns.charge(cost, to: member)
        had[member] += cost
        turns.add(0, of: member)
        try #require(had.max()! - had.min()! <= most.max()! * 2, "SEED=\(seed): \(had)")
      }
    }
  }

  /// Whoever is new, or has wanted nothing for a while, waits for one work of each of the others at most, however long
  /// their lines are.
  @Test func aNewcomerWaitsForOneWorkOfEachAtMost() {
    let seed = testSeed()
    var random = Xorshift(seed)
    for _ in 0..<200 {
      var turns = Turns()
      let floods = (0..<Int.random(in: 1...30, using: &random)).map { _ in turns.join() }
      let quiet = turns.join()
      for flood in floods {
        for _ in 0..<60 { turns.add(Int.random(in: 1...100, using: &random), of: flood) }
      }
      for _ in 0..<Int.random(in: 0...300, using: &random) { _ = go(&turns) { Int64($0) } }
      let newcomer = Bool.random(using: &random) ? quiet : turns.join()
      turns.add(1, of: newcomer)
      var before: [Int: Int] = [:]
      while let (member, _) = go(&turns, { Int64($0) }), member != newcomer {
        before[member, default: 0] += 1
      }
      #expect(before.values.allSatisfy { $0 == 1 }, "SEED=\(seed): \(before)")
    }
  }

  /// Whatever comes and goes: every work is done, once, and those of a member in their order.
  @Test func nobodyStarvesAndNothingIsLost() {
    let seed = testSeed()
    var random = Xorshift(seed)
    for _ in 0..<100 {
      var turns = Turns()
      var members: [Int] = []
      var added: [Int: [Int]] = [:], done: [Int: [Int]] = [:]
      for work in 0..<500 {
        switch Int.random(in: 0...9, using: &random) {
        case 0:
          let member = turns.join()
          #expect(!members.contains(member), "SEED=\(seed)")
          members.append(member)
          (added[member], done[member]) = ([], [])
        case 1:
          guard let index = members.indices.randomElement(using: &random) else { continue }
          let member = members[index]
          guard added[member]! == done[member]! else { continue }
          members.remove(at: index)
          turns.leave(member)
        case 2...5:
          guard let member = members.randomElement(using: &random) else { continue }
          turns.add(work, of: member)
          added[member]!.append(work)
        default:
          guard let (member, work) = turns.next() else { continue }
          done[member]!.append(work)
          // Works may cost nothing, and much.
          turns.charge([0, 1, 1_000_000].randomElement(using: &random)!, to: member)
        }
      }
      while let (member, work) = turns.next() {
        done[member]!.append(work)
        turns.charge(1, to: member)
      }
      #expect(turns.isEmpty)
      for member in members { #expect(added[member] == done[member], "SEED=\(seed)") }
    }
  }

  /// Who has had much while nobody else wanted anything owes nothing for it, and who has wanted nothing has saved nothing.
  @Test func nobodyOwesAndNobodySaves() {
    var turns = Turns()
    let (busy, idle) = (turns.join(), turns.join())
    for _ in 0..<1_000 {
      turns.add(100, of: busy)
      _ = go(&turns) { Int64($0) }
    }
    for _ in 0..<20 {
      turns.add(100, of: busy)
      turns.add(100, of: idle)
    }
    var order: [Int] = []
    while let (member, _) = go(&turns, { Int64($0) }) { order.append(member) }
    let first = order.prefix(20).filter { $0 == busy }.count
    #expect((9...11).contains(first), "\(order)")
  }
}
