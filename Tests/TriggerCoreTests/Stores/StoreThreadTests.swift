import Foundation
import Synchronization
import TestSupport
import Testing

import TriggerCore

/// Readers on threads of their own beside the writer: each sees the content of its own snapshot, whatever comes and goes
/// beside its keys. (Under ThreadSanitizer, too: `scripts/test-threads`.)
@Suite(.serialized) struct StoreThreadTests {
  private typealias Content = [[UInt8]: [UInt8]]

  private final class Hall: Sendable {
    let bench = TableBench()
    let registry = SnapshotRegistry(capacity: 8)
    /// What was there as of each seq that may be held.
    let history = Mutex<[Int64: Content]>([0: [:]])
    let isOver = Atomic<Bool>(false)
    let looks = Atomic<Int>(0)
    let wrong = Mutex<[String]>([])

    func content(at seq: Int64) -> Content { history.withLock { $0[seq]! } }
  }

  @Test(arguments: [1, 3])
  func everyReaderSeesItsSnapshot(readers: Int) {
    let seed = testSeed()
    let hall = Hall()
    let group = DispatchGroup()
    for reader in 0..<readers {
      group.enter()
      Thread.detachNewThread {
        Self.read(hall, SplitMix64(seed: seed &+ UInt64(reader) &+ 1))
        group.leave()
      }
    }
    group.enter()
    Thread.detachNewThread {
      Self.write(hall, SplitMix64(seed: seed), rounds: 1500)
      hall.isOver.store(true, ordering: .releasing)
      group.leave()
    }
    group.wait()
    #expect(hall.wrong.withLock { $0 }.prefix(3) == [], "seed \(seed)")
    #expect(hall.looks.load(ordering: .relaxed) >= readers)
  }

  private static func name(_ prefix: String, _ number: Int) -> [UInt8] { Array("\(prefix)\(number)".utf8) }

  /// Keys come and go; those below `z/` stay. Now and then hundreds come, which makes the index grow, and go.
  private static func write(_ hall: Hall, _ random: SplitMix64, rounds: Int) {
    var random = random
    var content = Content()
    func commit(_ changes: [[UInt8]: [UInt8]?]) {
      hall.bench.commit(changes)
      for (key, value) in changes { content[key] = value }
      hall.history.withLock { $0[hall.bench.seq] = content }
      hall.registry.visible.storeReleasing(hall.bench.seq)
    }
    commit(Dictionary(uniqueKeysWithValues: (0..<10).map { (name("z/", $0), [UInt8($0)]) }))
    for round in 1...rounds {
      var changes: [[UInt8]: [UInt8]?] = [:]
      if round % 200 == 0 {
        let isThere = content[name("b/", 0)] != nil
        for number in 0..<300 { changes[name("b/", number)] = isThere ? .some(nil) : [1] }
      }
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let key = name(
          ["x/", "y/", "z"].randomElement(using: &random)!, Int.random(in: 0..<12, using: &random))
        changes[key] = Bool.random(using: &random) ? .some(nil) : [UInt8(round & 0xff)]
      }
      commit(changes)
      if Int.random(in: 0..<3, using: &random) == 0 {
        let horizon = hall.registry.advanceHorizon(undecided: hall.bench.seq)
        hall.bench.reclaimer.reclaim(horizon: horizon, frontier: hall.bench.seq)
        hall.history.withLock { history in
          for seq in history.keys where seq < horizon { history[seq] = nil }
        }
      }
    }
  }

  private static func read(_ hall: Hall, _ random: SplitMix64) {
    var random = random
    let slot = hall.registry.takeSlot()!
    while !hall.isOver.load(ordering: .acquiring) {
      let seq = hall.registry.hold(slot)
      let content = hall.content(at: seq)
      for _ in 0..<Int.random(in: 1...5, using: &random) {
        if let mistake = look(hall.bench, content, at: seq, &random) {
          hall.wrong.withLock { $0.append("as of seq \(seq): \(mistake)") }
        }
        hall.looks.wrappingAdd(1, ordering: .relaxed)
      }
      hall.registry.release(slot)
    }
    hall.registry.giveBack(slot)
  }

  /// One look; what is wrong with what it gives.
  private static func look(
    _ bench: TableBench, _ content: Content, at seq: Int64, _ random: inout SplitMix64
  ) -> String? {
    let prefix = ["x/", "y/", "z/", "z", "b/"].randomElement(using: &random)!
    let key = name(prefix, Int.random(in: 0..<12, using: &random))
    func sorted(_ isWanted: ([UInt8]) -> Bool) -> [[UInt8]] {
      content.keys.filter(isWanted).sorted { $0.lexicographicallyPrecedes($1) }
    }
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      let found = bench.get(key, at: seq)
      return found == content[key] ? nil : "get gives \(found as Any), not \(content[key] as Any)"
    case 1:
      let found = bench.scan(Array(prefix.utf8), at: seq)
      let wanted = sorted { $0.starts(with: prefix.utf8) }
      return found == wanted ? nil : "\(found.count) keys below \(prefix), not \(wanted.count)"
    case 2:
      let found = bench.keys(notBelow: key, at: seq)
      let wanted = sorted { !$0.lexicographicallyPrecedes(key) }
      return found == wanted ? nil : "\(found.count) keys from \(key), not \(wanted.count)"
    default:
      let found = bench.table.version(at: seq)
      return found == seq ? nil : "last change at \(found)"
    }
  }
}
