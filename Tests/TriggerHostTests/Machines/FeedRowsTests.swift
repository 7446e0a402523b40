import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

@Suite struct FeedRowsTests {
  /// Rows late, twice, in stretches, with floors between: the same as a plain set of rows.
  @Test func isASetOfRows() {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    for _ in 0..<200 {
      var (rows, plain, next) = (FeedRows(), Set<Int64>(), Int64(1))
      for _ in 0..<100 {
        switch Int.random(in: 0..<10, using: &random) {
        case 0:
          let floor = Int64.random(in: 0...next, using: &random)
          rows.raise(floor: floor)
          if floor > 0 { plain.formUnion(1...floor) }
        case 1:
          let first = Int64.random(in: 1...next, using: &random)
          rows.insert(first...first + 3)
          plain.formUnion(first...first + 3)
        case 2...4:
          let row = Int64.random(in: max(1, next - 8)...next, using: &random)
          rows.insert(row)
          plain.insert(row)
        default:
          next += Int64.random(in: 1...3, using: &random)
          rows.insert(next)
          plain.insert(next)
        }
        for row in 1...next + 5 {
          #expect(rows.contains(row) == plain.contains(row), "seed \(seed), row \(row)")
        }
        // One form for one set: floor and stretches with gaps between.
        var end = rows.floor
        for stretch in rows.stretches {
          #expect(stretch.lowerBound > end + 1, "seed \(seed): \(rows)")
          end = stretch.upperBound
        }
      }
    }
  }

  private func record(_ row: Int64, floor: Int64) -> LogRecord {
    var record = LogRecord(
      seq: row, identity: row, outcome: .committed, trigger: "t", kind: .data, event: "e", payload: [0xf6],
      priority: .normal, admitted: 0, source: 1, hops: 0, tree: 1, cause: nil, attempts: 1, intents: [],
      emissions: [], isKilled: false, error: nil, reads: [])
    record.outside = LogRecord.Outside(
      id: EventID(epoch: 1, number: row), key: .row(feed: "f", number: row, floor: floor), triggers: [],
      priority: nil)
    return record
  }

  /// A row costs the same however many were before it. Were it the number of rows, this would take days.
  @Test(.timeLimit(.minutes(2))) func aRowCostsTheSameHoweverManyWereBefore() throws {
    let count: Int64 = 300_000
    // The floor stays, every other row was bad: nothing can be forgotten. Then it follows a row behind.
    for lag in [count * 2, 1, 1000] {
      var fold = LogFold()
      for row in stride(from: Int64(2), through: count * 2, by: 2) {
        fold.apply(record(row, floor: max(0, row - lag)))
      }
      let rows = try #require(fold.feeds["f"])
      #expect(rows.floor == (lag == 1 ? count * 2 : count * 2 - lag))
      #expect(rows.stretches.count == (lag == 1 ? 0 : lag / 2))
      #expect(rows.contains(count * 2) && !rows.contains(count * 2 + 2))
      #expect(try fold.encoded.withUnsafeBytes { try LogFold(decoding: $0) } == fold)
    }
  }

  /// An event for very many triggers, and very many failures: neither is copied for each record.
  @Test(.timeLimit(.minutes(2))) func aRecordCostsTheSameHoweverMuchIsRemembered() {
    var fold = LogFold()
    let triggers = (0..<3000).map { "t\($0)" }
    for (index, trigger) in triggers.enumerated() {
      var record = record(Int64(index + 1), floor: 0)
      record.trigger = trigger
      record.outcome = .failed
      record.outside = LogRecord.Outside(
        id: EventID(epoch: 1, number: 1), key: nil, triggers: triggers, priority: nil)
      fold.apply(record)
      #expect(fold.seen.count == (index + 1 < triggers.count ? 1 : 0))
    }
    #expect(fold.unfinished.isEmpty && fold.dead.count == triggers.count)
    for seq in Int64(3001)...300_000 {
      var record = record(seq, floor: 0)
      record.outcome = .failed
      fold.apply(record)
    }
    #expect(fold.dead.count == LogFold.deadKept && fold.dead.first == 300_000 - Int64(LogFold.deadKept) + 1)
  }

  /// A list of single rows, as no release has written it: refused, not taken for something else.
  @Test func aListOfSingleRowsIsNone() throws {
    let buffer = CBORBuffer()
    buffer.array(7)
    buffer.int(9)
    for _ in 0..<2 { buffer.array(0) }
    buffer.array(1)
    buffer.array(3)
    buffer.text("f")
    buffer.int(2)
    buffer.array(3)
    for row in [4, 5, 7] { buffer.int(Int64(row)) }
    for _ in 0..<3 { buffer.array(0) }
    let damage = #expect(throws: LogDamage.self) {
      try Array(buffer.bytes).withUnsafeBytes { try LogFold(decoding: $0) }
    }
    #expect(damage?.message == "no rows of a feed", "\(String(describing: damage))")
  }
}
