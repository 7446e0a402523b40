import HTTPTypes
import TestSupport
import Testing
import TriggerHost

@testable import TriggerServer

@Suite struct PriorityTurnsTests {
  private typealias Turns = PriorityTurns<Int>

  /// What is urgent waits for one work of each lane at most, however many flood the others.
  @Test func whatIsUrgentDoesNotWaitForAFlood() throws {
    let seed = testSeed()
    var random = Xorshift(seed)
    for _ in 0..<100 {
      var turns = Turns()
      let urgent = turns.join()
      for _ in 0..<Int.random(in: 1...300, using: &random) {
        let flood = turns.join()
        let lane = [Priority.normal, .low].randomElement(using: &random)!
        for _ in 0..<20 { turns.add(Int.random(in: 1...1_000, using: &random), of: flood, lane) }
      }
      for _ in 0..<30 {
        for _ in 0..<Int.random(in: 0...50, using: &random) {
          if let (turn, work) = turns.next() { turns.charge(Int64(work), to: turn) }
        }
        // It has had far more than any of the others, and still goes at once.
        turns.add(0, of: urgent, [.critical, .high].randomElement(using: &random)!)
        var before = 0
        while let (turn, work) = turns.next() {
          turns.charge(work == 0 ? 1_000 : Int64(work), to: turn)
          if work == 0 { break }
          before += 1
        }
        try #require(before <= 3, "SEED=\(seed)")
      }
    }
  }

  /// Where all want more than there is, each lane has four times as much as the next, and the lowest has some.
  @Test func noLaneStarves() {
    var turns = Turns()
    var had = Priority.allCases.map { _ in 0 }
    for priority in Priority.allCases {
      for _ in 0..<3 {
        let member = turns.join()
        for _ in 0..<20_000 { turns.add(Int(priority.rawValue), of: member, priority) }
      }
    }
    for _ in 0..<42_500 {
      guard let (turn, lane) = turns.next() else { break }
      had[lane] += 1
      turns.charge(100, to: turn)
    }
    for (had, share) in zip(had, [32_000, 8_000, 2_000, 500]) { #expect(abs(had - share) <= 2, "\(had)") }
  }

  /// Whatever comes and goes, in whatever lanes: every work is done once.
  @Test func nothingIsLost() {
    let seed = testSeed()
    var random = Xorshift(seed)
    var turns = Turns()
    var waits: Set<Int> = []
    let members = (0..<20).map { _ in turns.join() }
    func done(_ work: Int) { #expect(waits.remove(work) != nil, "SEED=\(seed)") }
    for work in 0..<5_000 {
      if Bool.random(using: &random) {
        let member = members.randomElement(using: &random)!
        waits.insert(work)
        turns.add(work, of: member, Priority.allCases.randomElement(using: &random)!)
      } else if let (turn, work) = turns.next() {
        done(work)
        turns.charge([0, 1, 1_000_000].randomElement(using: &random)!, to: turn)
      }
    }
    while let (turn, work) = turns.next() {
      done(work)
      turns.charge(1, to: turn)
    }
    #expect(turns.isEmpty && waits.isEmpty, "SEED=\(seed)")
    for member in members { turns.leave(member) }
  }

  @Test(arguments: [
    ("/healthz", Priority.critical), ("/readyz", .critical), ("/v1/events/a?priority=high", .high),
    ("/v1/events?wait=accepted&priority=low&source=x", .low), ("/v1/events/a?priority=critical", .critical),
    ("/v1/events/a?priority=HIGH", .normal), ("/v1/events/a?source=priority=high", .normal),
    ("/v1/events/a", .normal), ("/v1/stores/a?priority=high", .normal), ("/", .normal), ("*", .normal),
  ])
  func aHeadSaysHowUrgentItIs(path: String, priority: Priority) {
    let head = HTTPRequest(method: .post, scheme: "http", authority: "localhost", path: path)
    #expect(RequestPriority.of(head) == priority)
  }
}
