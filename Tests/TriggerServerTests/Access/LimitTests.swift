import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerServer

/// The machines behind the limits, against plain models of them.
@Suite struct LimitTests {
  /// Buckets as anybody would write them: a level that fills, and a list in the order of last use.
  private struct PlainBuckets {
    let (rate, burst, capacity): (Int, Int, Int)
    private var buckets: [(caller: Int, level: Int64, at: Int64)] = []
    /// Nanoseconds for which one request pays.
    private var price: Int64 { 1_000_000_000 / Int64(rate) }

    init(_ rate: Int, _ burst: Int, _ capacity: Int) {
      (self.rate, self.burst, self.capacity) = (rate, burst, capacity)
    }

    mutating func spend(_ count: Int, of caller: Int, at now: Int64) -> Int64? {
      let full = price * Int64(burst)
      var bucket = (caller: caller, level: full, at: now)
      if let index = buckets.firstIndex(where: { $0.caller == caller }) {
        bucket = buckets.remove(at: index)
      } else if buckets.count == capacity {
        buckets.removeFirst()
      }
      bucket.level = min(full, bucket.level + (now - bucket.at))
      bucket.at = now
      let needed = min(full, price * Int64(count))
      let lack = needed - bucket.level
      if lack <= 0 { bucket.level -= price * Int64(count) }
      buckets.append(bucket)
      return lack > 0 ? lack : nil
    }
  }

  @Test func ratesAreThoseOfPlainBuckets() {
    let seed = testSeed()
    var random = Xorshift(seed)
    for round in 0..<300 {
      let rate = Int.random(in: 1...50, using: &random)
      let burst = Int.random(in: 1...20, using: &random)
      let capacity = Int.random(in: 1...6, using: &random)
      var table = RateTable<Int>(rate: rate, burst: burst, capacity: capacity)
      var model = PlainBuckets(rate, burst, capacity)
      var now: Int64 = .random(in: -5_000_000_000...5_000_000_000, using: &random)
      for step in 0..<200 {
        now +=
          [0, 0, 1, .random(in: 0...1_000_000_000, using: &random)][
            Int.random(in: 0...3, using: &random)]
        let caller = Int.random(in: 0..<8, using: &random)
        let count = Int.random(in: 1...25, using: &random)
        let wait = table.spend(count, of: caller, at: MonotonicTime(nanoseconds: now))
        let expected = model.spend(count, of: caller, at: now)
        guard wait == expected, table.count <= capacity else {
          Issue.record(
            "SEED=\(seed) round \(round) step \(step): \(String(describing: wait)) is not \(String(describing: expected))"
          )
          return
        }
      }
    }
  }

  /// Who waits as long as it was told is let in, and nobody gets more than its rate and its burst over any span.
  @Test func retryAfterIsTrue() {
    var table = RateTable<String>(rate: 10, burst: 5, capacity: 4)
    var now = MonotonicTime(nanoseconds: 7)
    var passed = 0
    while now.nanoseconds < 10_000_000_000 {
      if let wait = table.spend(of: "a", at: now) {
        #expect(table.spend(of: "a", at: now + (wait - 1)) != nil)
        now = now + wait
        #expect(table.spend(of: "a", at: now) == nil)
      }
      passed += 1
    }
    #expect(passed == 5 + 100)
  }

  @Test func extremesOfCountAndTime() {
    var table = RateTable<Int>(rate: 1, burst: 1, capacity: 1)
    #expect(table.spend(.max, of: 1, at: MonotonicTime(nanoseconds: 0)) == nil)
    #expect(table.spend(of: 1, at: MonotonicTime(nanoseconds: 1))! > 1_000_000_000)
    #expect(table.spend(of: 2, at: MonotonicTime(nanoseconds: .max / 2)) == nil)
  }

  @Test func connectionsAreCountedByNetwork() throws {
    let seed = testSeed()
    var random = Xorshift(seed)
    var limits = ServerLimits()
    (limits.connections, limits.addressConnections) = (12, 3)
    let peers =
      ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "127.0.0.1"].map {
        IPAddress($0)
      } + [nil]
    func group(_ peer: IPAddress?) -> String? {
      peer.flatMap { $0.isLoopback ? nil : "\($0.network)" }
    }
    var table = ConnectionTable(limits)
    var open: [IPAddress?] = []
    for _ in 0..<5_000 {
      let peer = peers.randomElement(using: &random)!
      if Bool.random(using: &random), let index = open.indices.randomElement(using: &random) {
        table.close(open.remove(at: index))
        continue
      }
      let isFull = open.count >= 12
      let isMany = group(peer) != nil && open.count { group($0) == group(peer) } >= 3
      do throws(Refusal) {
        try table.open(peer)
        open.append(peer)
        #expect(!isFull && !isMany, "SEED=\(seed)")
      } catch {
        #expect(
          error.cause == (isFull ? .connections : .addressConnections) && (isFull || isMany),
          "SEED=\(seed)")
      }
      #expect(
        table.total == open.count && table.byNetwork.values.allSatisfy { (1...3).contains($0) },
        "SEED=\(seed)")
    }
    for peer in open { table.close(peer) }
    #expect(table.total == 0 && table.byNetwork.isEmpty)
  }
}
