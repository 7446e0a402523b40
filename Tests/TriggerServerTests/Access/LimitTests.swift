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

    mutating func take(_ count: Int, of caller: Int, at now: Int64) -> Int64? {
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
      let rate = Int.random(in: 1...50, using: &random), burst = Int.random(in: 1...20, using: &random)
      let capacity = Int.random(in: 1...6, using: &random)
      var table = RateTable<Int>(rate: rate, burst: burst, capacity: capacity)
      var model = PlainBuckets(rate, burst, capacity)
      var now: Int64 = .random(in: -5_000_000_000...5_000_000_000, using: &random)
      for step in 0..<200 {
        now +=
          [0, 0, 1, .random(in: 0...1_000_000_000, using: &random)][Int.random(in: 0...3, using: &random)]
        let caller = Int.random(in: 0..<8, using: &random), count = Int.random(in: 1...25, using: &random)
        let wait = table.take(count, of: caller, at: MonotonicTime(nanoseconds: now))
        let expected = model.take(count, of: caller, at: now)
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
      if let wait = table.take(of: "a", at: now) {
        #expect(table.take(of: "a", at: now + (wait - 1)) != nil)
        now = now + wait
        #expect(table.take(of: "a", at: now) == nil)
      }
      passed += 1
    }
    #expect(passed == 5 + 100)
  }

  @Test func extremesOfCountAndTime() {
    var table = RateTable<Int>(rate: 1, burst: 1, capacity: 1)
    #expect(table.take(.max, of: 1, at: MonotonicTime(nanoseconds: 0)) == nil)
    #expect(table.take(of: 1, at: MonotonicTime(nanoseconds: 1))! > 1_000_000_000)
    #expect(table.take(of: 2, at: MonotonicTime(nanoseconds: .max / 2)) == nil)
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
    func group(_ peer: IPAddress?) -> String? { peer.flatMap { $0.isLoopback ? nil : "\($0.network)" } }
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
          error.cause == (isFull ? .connections : .addressConnections) && (isFull || isMany), "SEED=\(seed)")
      }
      #expect(
        table.total == open.count && table.byNetwork.values.allSatisfy { (1...3).contains($0) },
        "SEED=\(seed)")
    }
    for peer in open { table.close(peer) }
    #expect(table.total == 0 && table.byNetwork.isEmpty)
  }

  // MARK: Time

  private static let limits = ServerLimits()
  private func at(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: Int64(seconds * 1e9)) }

  /// The second at which the clock would act, and as what.
  private func due(_ clock: RequestClock) -> String {
    guard let (time, due) = clock.deadline else { return "-" }
    let word = if case .refuse(let refusal) = due { refusal.cause.rawValue } else { "close" }
    return "\(Double(time.nanoseconds) / 1e9) \(word)"
  }

  @Test func eachPartOfARequestHasItsTime() {
    var clock = RequestClock(Self.limits, at: at(5))
    #expect(due(clock) == "125.0 close")
    clock.handle(.bytes(1), at: at(100))
    #expect(due(clock) == "110.0 header_time")
    // A byte a second is no way to stay.
    for second in 101...109 { clock.handle(.bytes(1), at: at(Double(second))) }
    #expect(due(clock) == "110.0 header_time")
    clock.handle(.head, at: at(109))
    #expect(due(clock) == "139.0 body_time")
    clock.handle(.bytes(10 << 10), at: at(110))
    #expect(due(clock) == "149.0 body_time")
    clock.handle(.end, at: at(111))
    #expect(due(clock) == "-")
    clock.handle(.answered, at: at(500))
    #expect(due(clock) == "620.0 close")
  }

  @Test func requestsThatFollowAtOnce() {
    var clock = RequestClock(Self.limits, at: at(0))
    for event in [RequestClock.Event.bytes(9), .head, .end, .bytes(3)] { clock.handle(event, at: at(1)) }
    #expect(due(clock) == "-")
    // The bytes of the next one came before; its time begins now.
    clock.handle(.answered, at: at(50))
    #expect(due(clock) == "60.0 header_time")
    // Answered before the body is whole.
    clock.handle(.head, at: at(51))
    clock.handle(.answered, at: at(52))
    #expect(due(clock) == "81.0 body_time")
    clock.handle(.end, at: at(53))
    #expect(due(clock) == "173.0 close")
  }

  @Test func whileTheHostDoesNotReadNoTimeCounts() {
    var clock = RequestClock(Self.limits, at: at(0))
    clock.handle(.bytes(1), at: at(0))
    clock.handle(.head, at: at(0))
    clock.handle(.paused, at: at(20))
    clock.handle(.paused, at: at(30))
    #expect(due(clock) == "-")
    clock.handle(.resumed, at: at(1_000))
    clock.handle(.resumed, at: at(1_001))
    #expect(due(clock) == "1010.0 body_time")
  }

  /// In whatever order things happen: whoever owes the host bytes has a time, and no time ends before it began.
  @Test func noOrderOfEventsConfusesIt() {
    let seed = testSeed()
    var random = Xorshift(seed)
    for _ in 0..<300 {
      var now: Int64 = 0
      var clock = RequestClock(Self.limits, at: at(0))
      var isPaused = false
      for _ in 0..<60 {
        now += .random(in: 0...3_000_000_000, using: &random)
        let event = [
          RequestClock.Event.bytes(Int.random(in: 0...5_000, using: &random)), .head, .end, .answered,
          .paused, .resumed,
        ].randomElement(using: &random)!
        clock.handle(event, at: MonotonicTime(nanoseconds: now))
        if event == .paused { isPaused = true }
        if event == .resumed { isPaused = false }
        if isPaused { #expect(clock.deadline == nil, "SEED=\(seed)") }
        if event == .head, !isPaused { #expect(due(clock).hasSuffix("body_time"), "SEED=\(seed)") }
      }
      for event in [RequestClock.Event.resumed, .head, .end, .answered] {
        clock.handle(event, at: MonotonicTime(nanoseconds: now))
      }
      #expect(clock.deadline.map { $0.time.nanoseconds > now } == true, "SEED=\(seed)")
    }
  }
}
