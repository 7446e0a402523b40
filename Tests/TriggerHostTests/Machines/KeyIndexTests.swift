import Testing
import TestSupport
import TriggerCore

@testable import TriggerHost

/// The index of keys against a plain list of rows.
@Suite struct KeyIndexTests {
  private struct Row {
    var hash: UInt64
    var time: Int64
    var place: KeyIndex.Place
  }

  @Test func itFindsWhatAListFinds() {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    var index = KeyIndex()
    var (rows, now, part): ([Row], Int64, Int64) = ([], 0, 0)
    for _ in 0..<400 {
      part += 1
      let size = Int.random(in: 1...40, using: &random)
      index.begin(part: part, size: size)
      for place in 0..<size {
        now += Int64.random(in: 0...3, using: &random)
        // Few hashes, so that many rows share one, and long runs in the table.
        let hash = UInt64.random(in: 0..<300, using: &random)
        let time = now - Int64.random(in: 0...50, using: &random)
        index.add(hash, time: time)
        rows.append(Row(hash: hash, time: time, place: .init(part: part, index: place, time: time)))
      }
      for number in index.forget(before: now - 2000) { rows.removeAll { $0.place.part == number } }
      #expect(index.count == rows.count, "seed \(seed)")
      for _ in 0..<5 {
        let hash = UInt64.random(in: 0..<310, using: &random)
        #expect(
          index.rows(hash) == rows.filter { $0.hash == hash }.map(\.place), "seed \(seed), hash \(hash)")
      }
      // Nothing of what is not old enough is forgotten.
      #expect(rows.allSatisfy { $0.time >= now - 2000 || $0.place.part >= rows[0].place.part })
    }
    #expect(part > rows[0].place.part)
  }

  @Test func aPartGoesWhenItsNewestRowIsOld() {
    var index = KeyIndex()
    for (part, time) in [(Int64(1), Int64(10)), (2, 5), (3, 30)] {
      index.begin(part: part, size: part == 3 ? 2 : 1)
      index.add(1, time: time)
    }
    // The second is older, and waits for the first.
    #expect(index.forget(before: 10) == [])
    #expect(index.oldest == 10)
    #expect(index.forget(before: 11) == [1, 2])
    // The newest part gets more.
    #expect(index.forget(before: 100) == [])
    #expect(index.rows(1).map(\.part) == [3])
    index.add(2, time: 40)
    #expect(index.forget(before: 100) == [3])
    #expect(index.count == 0 && index.rows(1).isEmpty)
  }

  @Test func aRowComesBackFromItsPart() throws {
    let result = KeyRow.Result(
      trigger: "t", identity: 3, seq: 4, outcome: .superseded, instead: .failed,
      failure: Failure(.timeout, "no"), retryAt: 9)
    let rows = (0..<5).map { n in
      KeyRow(
        key: SenderKey(scope: "s", key: "k\(n)"), id: EventID(epoch: 1, number: Int64(n)),
        digest: .max - UInt64(n),
        admitted: Int64(10 - n), results: Array(repeating: result, count: n), amends: n == 4 ? 7 : nil)
    }
    let part = KeyPart(rows)
    for (place, row) in rows.enumerated() {
      #expect(try part.encodedRows.withUnsafeBytes { try KeyPart.row(place, of: $0) } == row)
    }
    let times = part.entries(seed: 5).withUnsafeBytes { bytes in
      stride(from: 8, to: bytes.count, by: 16).map { bytes.loadUnaligned(fromByteOffset: $0, as: Int64.self) }
    }
    #expect(times == [10, 9, 8, 7, 6])
  }

  /// What came of an operation that was tried again takes the place of its failure, through several tries.
  @Test func laterResultsTakeThePlaceOfFailures() {
    func result(_ seq: Int64, _ outcome: OperationOutcome, _ trigger: String = "a") -> KeyRow.Result {
      KeyRow.Result(trigger: trigger, identity: seq, seq: seq, outcome: outcome)
    }
    func row(_ results: [KeyRow.Result], amends: Int64? = nil, number: Int64 = 1) -> KeyRow {
      KeyRow(
        key: SenderKey(scope: "s", key: "k"), id: EventID(epoch: 1, number: number), digest: 0, admitted: 0,
        results: results, amends: amends)
    }
    let event = row([result(1, .failed), result(2, .committed, "b")])
    let later = [
      row([result(9, .committed)], amends: 5), row([result(5, .failed)], amends: 1),
      // Of another event with the key, a day before.
      row([result(4, .committed)], amends: 2, number: 0),
    ]
    #expect(event.results(amendedBy: later) == [result(9, .committed), result(2, .committed, "b")])
  }
}
