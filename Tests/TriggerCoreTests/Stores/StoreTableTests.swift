import TestSupport
import Testing

import TriggerCore

/// A table against a plain dictionary per version: whatever is held sees its own version, and reclaiming
/// frees nothing of it.
@Suite struct StoreTableTests {
  private func key(_ random: inout SplitMix64, _ range: Int) -> [UInt8] {
    let number = Int.random(in: 0..<range, using: &random)
    // Equal prefixes, bytes beyond ASCII and zeros among them.
    return Array("k\(number % 7)/".utf8) + [UInt8(number & 0xff), UInt8(number >> 8)]
  }

  @Test(arguments: [5, 60, 3000])
  func everySnapshotSeesItsOwn(keys: Int) {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let bench = TableBench()
    var model: [[UInt8]: [UInt8]] = [:]
    var held: [(seq: Int64, content: [[UInt8]: [UInt8]])] = [(0, [:])]
    for step in 0..<1500 {
      var changes: [[UInt8]: [UInt8]?] = [:]
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let isDeletion = Int.random(in: 0..<4, using: &random) == 0
        changes[key(&random, keys)] =
          isDeletion
          ? .some(nil) : [UInt8](repeating: UInt8(step & 0xff), count: Int.random(in: 0...40, using: &random))
      }
      bench.commit(changes)
      for (key, value) in changes { model[key] = value }
      if Int.random(in: 0..<10, using: &random) == 0 { held.append((bench.seq, model)) }
      if held.count > 1, Int.random(in: 0..<12, using: &random) == 0 {
        held.remove(at: Int.random(in: 0..<held.count, using: &random))
      }
      if Int.random(in: 0..<5, using: &random) == 0 {
        bench.reclaimer.reclaim(horizon: held.map(\.seq).min() ?? bench.seq, frontier: bench.seq)
      }
      for (seq, content) in [(bench.seq, model), held.randomElement(using: &random)!] {
        let key = key(&random, keys)
        #expect(bench.get(key, at: seq) == content[key], "seed \(seed), step \(step), snapshot \(seq)")
        if step % 50 == 0 {
          let prefix = Array(key.prefix(Int.random(in: 0...3, using: &random)))
          let wanted = content.keys.filter { $0.starts(with: prefix) }.sorted {
            $0.lexicographicallyPrecedes($1)
          }
          #expect(bench.scan(prefix, at: seq) == wanted, "seed \(seed), step \(step), snapshot \(seq)")
        }
      }
    }
    #expect(bench.table.liveKeys.load(ordering: .relaxed) == model.count)
    bench.reclaimer.reclaim(horizon: bench.seq, frontier: bench.seq)
    #expect(bench.reclaimer.waiting == 0)
    for (key, value) in model { #expect(bench.get(key, at: bench.seq) == value) }
  }

  /// The digest that commits maintain is the sum that the formula says, and nothing else goes into it: neither the
  /// order nor what was there before.
  @Test func theDigestIsTheSumOverWhatIsThere() {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let bench = TableBench()
    var model: [[UInt8]: (value: [UInt8], version: Int64)] = [:]
    for step in 0..<2000 {
      var changes: [[UInt8]: [UInt8]?] = [:]
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let count = Int.random(in: 0...80, using: &random)
        changes[key(&random, 200)] =
          Int.random(in: 0..<3, using: &random) == 0
          ? .some(nil) : (0..<count).map { _ in .random(in: 0...255, using: &random) }
      }
      bench.commit(changes)
      for (key, value) in changes { model[key] = value.map { ($0, bench.seq) } }
      if step % 7 == 0 { bench.reclaimer.reclaim(horizon: bench.seq, frontier: bench.seq) }
      let sum = PlainDigest.of(model.map { (key: $0, value: $1.value, version: $1.version) })
      #expect(bench.table.digest.bits == sum, "seed \(seed), step \(step)")
    }
    bench.commit(model.mapValues { _ in nil })
    #expect(bench.table.digest == StoreDigest(), "seed \(seed)")
    // The same content by another way: restored, as from a checkpoint, in another order.
    let (table, reclaimer) = (StoreTable(name: "t"), Reclaimer())
    for (key, item) in model {
      key.withUnsafeBufferPointer { key in
        item.value.withUnsafeBytes { table.restore(key, $0, seq: item.version, reclaim: reclaimer) }
      }
    }
    #expect(
      table.digest.bits == PlainDigest.of(model.map { (key: $0, value: $1.value, version: $1.version) }),
      "seed \(seed)")
    table.clear(reclaim: reclaimer)
    #expect(table.digest == StoreDigest(), "seed \(seed)")
  }

  /// Any change of a key, a value or a version shows, and so does what moves from the key to the value.
  @Test func digestsTellContentsApart() {
    func digest(_ items: [(key: String, value: [UInt8], version: Int64)]) -> StoreDigest {
      let (table, reclaimer) = (StoreTable(name: "t"), Reclaimer())
      for item in items {
        var key = item.key
        key.withUTF8 { key in
          item.value.withUnsafeBytes { table.restore(key, $0, seq: item.version, reclaim: reclaimer) }
        }
      }
      return table.digest
    }
    let all: [[(key: String, value: [UInt8], version: Int64)]] = [
      [], [("a", [1], 1)], [("a", [1], 2)], [("a", [2], 1)], [("b", [1], 1)], [("a", [], 0)], [("a", [0], 0)],
      [("ab", [99], 1)], [("a", [98, 99], 1)], [("a", [1], 1), ("b", [1], 1)],
      [("a", [1], 1), ("b", [1], 2)],
      [("a", [1], 2), ("b", [1], 1)], [("a", [2], 1), ("b", [1], 1)], [("a", [1], 1), ("b", [2], 1)],
    ]
    #expect(Set(all.map(digest)).count == all.count)
    #expect(digest([("a", [1], 1), ("b", [2], 2)]) == digest([("b", [2], 2), ("a", [1], 1)]))
    #expect(digest([("a", [1], 7)]).description.count == 16)
  }

  /// A store that was large and is nearly empty: its index is gone through slot by slot when it shrinks, and meanwhile
  /// more keys come than are there.
  @Test func aStoreThatHasShrunkTakesNewKeys() {
    let bench = TableBench()
    func name(_ number: Int) -> [UInt8] { Array("k\(number)".utf8) }
    func sweep() { bench.reclaimer.reclaim(horizon: bench.seq, frontier: bench.seq) }
    func stays(_ number: Int) -> Bool { number >= 20_000 && number % 500 == 0 }
    for number in 0..<20_000 { bench.commit([name(number): [1]]) }
    for number in 0..<20_000 { bench.commit([name(number): nil]) }
    sweep()
    for number in 20_000..<60_000 {
      bench.commit([name(number): [2]])
      if stays(number) { continue }
      bench.commit([name(number): nil])
      sweep()
    }
    for number in 0..<60_000 {
      let isThere = bench.get(name(number), at: bench.seq) != nil
      if isThere != stays(number) { Issue.record("key \(number)") }
    }
  }

  /// The conflict check against a plain comparison of two versions of the content.
  @Test func readSetsHoldExactlyWhileNothingTheySawChanged() {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    for _ in 0..<300 {
      let bench = TableBench()
      var model: [[UInt8]: [UInt8]] = [:]
      var changedSince: Set<[UInt8]> = []
      func commit() {
        let (key, isDeletion) = (key(&random, 12), Bool.random(using: &random))
        let value: [UInt8]? = isDeletion ? nil : [1, 2, 3]
        bench.commit([key: value])
        changedSince.insert(key)
        model[key] = value
      }
      for _ in 0..<Int.random(in: 0...10, using: &random) { commit() }
      changedSince = []
      let snapshot = bench.seq
      var reads = ReadSet()
      var (keys, prefixes, whole) = (Set<[UInt8]>(), [[UInt8]](), false)
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let key = key(&random, 12)
        switch Int.random(in: 0..<8, using: &random) {
        case 0:
          let prefix = Array(key.prefix(Int.random(in: 1...3, using: &random)))
          prefix.withUnsafeBufferPointer { reads.add(prefix: $0, in: bench.table) }
          prefixes.append(prefix)
        case 1:
          reads.add(whole: bench.table)
          whole = true
        default:
          key.withUnsafeBufferPointer { bytes in
            let hash = KeyHash.of(bytes.baseAddress!, count: bytes.count)
            if let entry = bench.table.entry(bytes.baseAddress!, bytes.count, hash: hash) {
              reads.add(entry: entry, in: bench.table)
            } else {
              reads.add(absent: bytes.baseAddress!, bytes.count, hash: hash, in: bench.table)
            }
          }
          keys.insert(key)
        }
      }
      for _ in 0..<Int.random(in: 0...3, using: &random) { commit() }
      let isTouched = changedSince.contains { key in
        whole || keys.contains(key) || prefixes.contains { key.starts(with: $0) }
      }
      #expect(reads.holds(since: snapshot) == !isTouched, "seed \(seed)")
    }
  }
}
