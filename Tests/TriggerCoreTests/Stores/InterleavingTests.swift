#if DEBUG
  import TestSupport
  import Testing

  @testable import TriggerCore

  /// One operation of the writer against one of a reader, in every interleaving there is.
  @Suite struct InterleavingTests {
    // MARK: The order of keys

    /// Keys 2, 4, 6, ... are there; one is put between, or taken out.
    private final class Order {
      let order = KeyOrder()
      var entries: [UInt8: UnsafeMutablePointer<Entry>] = [:]
      func make(_ key: UInt8, levels: Int) -> UnsafeMutablePointer<Entry> {
        var bytes = key
        let entry = Entry.make(hash: 0, key: &bytes, count: 1, levels: levels)
        entries[key] = entry
        return entry
      }
      deinit { for entry in entries.values { Entry.free(entry) } }

      func keys(notBelow key: UInt8) -> [UInt8] {
        var key = key
        var found: [UInt8] = []
        var cursor = order.lowerBound(&key, 1)
        while let entry = cursor {
          found.append(Entry.key(entry).pointee)
          cursor = order.next(entry)
        }
        return found
      }
    }

    @Test(arguments: 0...5)
    func aReaderMeetsEveryKeyWhileOneIsPutBeside(keys: Int) {
      let seed = testSeed()
      var random = SplitMix64(seed: seed)
      var runs = 0
      for levels in 1...4 {
        for place in 0...keys {
          for _ in 0..<4 {
            let order = Order()
            for key in 0..<keys {
              order.order.insert(
                order.make(UInt8(2 * key + 2), levels: Int.random(in: 1...4, using: &random)))
            }
            let new = UInt8(2 * place + 1)
            let entry = order.make(new, levels: levels)
            let all = Interleavings(on: order) { order.order.insert(entry) }
            for start in 0...UInt8(2 * keys + 2) {
              let wanted = (0..<keys).map { UInt8(2 * $0 + 2) }.filter { $0 >= start }
              runs += all.forEach({ order.keys(notBelow: start) }) { found in
                if found.filter({ $0 != new }) != wanted || found.sorted() != found || all.fault != nil {
                  Issue.record(
                    "from \(start) beside a new \(new) of \(levels) levels: \(found), seed \(seed), \(all.place)"
                  )
                }
              }
            }
          }
        }
      }
      #expect(runs > (keys + 1) * (keys + 1))
    }

    /// What follows a key that is taken out may go as well, others come, and the reader stands there.
    @Test(arguments: 2...5)
    func aReaderMeetsEveryKeyWhileOthersGoAndCome(keys: Int) {
      let seed = testSeed()
      var random = SplitMix64(seed: seed)
      for _ in 0..<60 {
        let order = Order()
        for key in 0..<keys {
          order.order.insert(order.make(UInt8(2 * key + 2), levels: Int.random(in: 1...4, using: &random)))
        }
        var left = Set((0..<keys).map { UInt8(2 * $0 + 2) })
        var gone: [UInt8] = []
        for _ in 0..<2 {
          gone.append(left.randomElement(using: &random)!)
          left.remove(gone.last!)
        }
        let new = (0..<2).map { _ in UInt8(2 * Int.random(in: 0...keys, using: &random) + 1) }
        let added = Set(new).map { order.make($0, levels: Int.random(in: 1...4, using: &random)) }
        let all = Interleavings(on: order) {
          order.order.remove(order.entries[gone[0]]!)
          order.order.insert(added[0])
          order.order.remove(order.entries[gone[1]]!)
          if added.count > 1 { order.order.insert(added[1]) }
        }
        for start in 0...UInt8(2 * keys + 2) {
          _ = all.forEach({ order.keys(notBelow: start) }) { found in
            if found.filter({ left.contains($0) }) != left.sorted().filter({ $0 >= start })
              || all.fault != nil
            {
              Issue.record(
                "from \(start), \(gone) gone, \(new) new: \(found), seed \(seed), \(all.place)")
            }
          }
        }
      }
    }

    // MARK: The index

    /// Few hashes, so that keys meet.
    private final class Index {
      let index = HashIndex()
      var blocks: [UnsafeMutableRawPointer] = []
      var live: [UInt16: UnsafeMutablePointer<Entry>] = [:]
      private var all: [UnsafeMutablePointer<Entry>] = []
      deinit {
        for block in blocks { HashIndex.free(block) }
        for entry in all { Entry.free(entry) }
      }

      func put(_ key: UInt16) {
        let entry = withUnsafeBytes(of: key) {
          Entry.make(
            hash: UInt64(key % 64), key: $0.baseAddress!.assumingMemoryBound(to: UInt8.self), count: 2,
            levels: 1)
        }
        all.append(entry)
        live[key] = entry
        if let block = index.insert(entry) { blocks.append(block) }
      }
      func remove(_ key: UInt16) { live.removeValue(forKey: key).map { index.remove($0) } }
      func find(_ key: UInt16) -> UnsafeMutablePointer<Entry>? {
        withUnsafeBytes(of: key) {
          index.find(
            hash: UInt64(key % 64), key: $0.baseAddress!.assumingMemoryBound(to: UInt8.self), count: 2)
        }
      }
    }

    @Test func aReaderFindsEveryKeyWhileTheIndexChanges() {
      let seed = testSeed()
      var random = SplitMix64(seed: seed)
      for round in 0..<300 {
        let index = Index()
        // At, or close to, the start and the end of a growth.
        let size = [3, 6, 7, 8, 15, 16, 31, 33, 63, 64, 65, 66, 67, 68].randomElement(using: &random)!
        for key in 0..<UInt16(size) { index.put(key) }
        for _ in 0..<Int.random(in: 0...12, using: &random) {
          let key = UInt16.random(in: 0..<UInt16(size), using: &random)
          if index.live[key] != nil { index.remove(key) } else { index.put(key) }
        }
        let changed = UInt16.random(in: 0..<UInt16(size + 3), using: &random)
        let before = index.live
        let operation = Interleavings(on: index) {
          index.remove(changed)
          // There again at once, in half of the rounds.
          if round % 2 == 0 { index.put(changed) }
        }
        for key in 0..<UInt16(size + 5) {
          _ = operation.forEach({ index.find(key) }) { found in
            let isRight =
              found == before[key] || key == changed && (found == nil || found == index.live[key])
            if !isRight || operation.fault != nil {
              Issue.record(
                "key \(key) while \(changed) changes, size \(size), seed \(seed), \(operation.place)")
            }
          }
        }
      }
    }

    // MARK: The whole table

    /// What a reader may do on its snapshot, and what it must get.
    private enum Read {
      case get([UInt8]), scan([UInt8]), keys(notBelow: [UInt8]), version
    }
    private enum Found: Equatable { case value([UInt8]?), keys([[UInt8]]), version(Int64) }

    private static func read(_ read: Read, _ bench: TableBench, at seq: Int64) -> Found {
      switch read {
      case .get(let key): .value(bench.get(key, at: seq))
      case .scan(let prefix): .keys(bench.scan(prefix, at: seq))
      case .keys(let key): .keys(bench.keys(notBelow: key, at: seq))
      case .version: .version(bench.table.version(at: seq))
      }
    }

    /// Commits and reclaims beside a reader that holds a snapshot. `past`: how far the horizon goes beyond it.
    private func readersBesideCommits(seed: UInt64, past: Int64 = 0) -> (wrong: [String], runs: Int) {
      var random = SplitMix64(seed: seed)
      var wrong: [String] = []
      func key() -> [UInt8] { Array(["a", "ab", "b", "b\0", "ba", "c"].randomElement(using: &random)!.utf8) }
      func changes() -> [[UInt8]: [UInt8]?] {
        var changes: [[UInt8]: [UInt8]?] = [:]
        for _ in 0..<Int.random(in: 1...2, using: &random) {
          changes[key()] =
            Bool.random(using: &random) ? .some(nil) : [UInt8.random(in: 0...9, using: &random)]
        }
        return changes
      }
      let bench = TableBench()
      var (content, changed): ([[UInt8]: [UInt8]], Int64) = ([:], 0)
      for _ in 0..<Int.random(in: 2...8, using: &random) {
        let changes = changes()
        bench.commit(changes)
        for (key, value) in changes { content[key] = value }
        changed = bench.seq
        if Int.random(in: 0..<4, using: &random) == 0 {
          bench.reclaimer.reclaim(horizon: bench.seq, frontier: bench.seq)
        }
      }
      // The reader begins here.
      let snapshot = bench.seq
      func writeOn(_ changes: [[[UInt8]: [UInt8]?]]) {
        for some in changes { bench.commit(some) }
        bench.reclaimer.reclaim(horizon: snapshot + past, frontier: bench.seq)
      }
      if Bool.random(using: &random) { writeOn([changes()]) }
      let next = (0..<Int.random(in: 0...2, using: &random)).map { _ in changes() }
      let all = Interleavings(on: bench) { writeOn(next) }
      let reads: [Read] = [.get(key()), .scan(Array("b".utf8)), .scan([]), .keys(notBelow: key()), .version]
      var runs = 0
      for read in reads {
        let wanted: Found =
          switch read {
          case .get(let key): .value(content[key])
          case .scan(let prefix): .keys(Self.sorted(content.keys.filter { $0.starts(with: prefix) }))
          case .keys(let first):
            .keys(Self.sorted(content.keys.filter { !$0.lexicographicallyPrecedes(first) }))
          case .version: .version(changed)
          }
        runs += all.forEach({ Self.read(read, bench, at: snapshot) }) { found in
          if let fault = all.fault { wrong.append("\(read): \(fault), \(all.place)") }
          if found != wanted { wrong.append("\(read) gives \(found), not \(wanted), \(all.place)") }
        }
      }
      return (wrong, runs)
    }

    private static func sorted(_ keys: some Sequence<[UInt8]>) -> [[UInt8]] {
      keys.sorted { $0.lexicographicallyPrecedes($1) }
    }

    @Test func aSnapshotIsTheSameInEveryInterleaving() {
      let seed = testSeed()
      var runs = 0
      for round in UInt64(0)..<200 {
        let (wrong, count) = readersBesideCommits(seed: seed &+ round)
        #expect(wrong.isEmpty, "seed \(seed &+ round)")
        runs += count
      }
      #expect(runs > 1000)
    }

    /// The steps do find a reader whose snapshot is not kept.
    @Test func aHorizonPastTheReaderIsFound() {
      let found = (0..<200).contains { round in
        !readersBesideCommits(seed: UInt64(round), past: 1).wrong.isEmpty
      }
      #expect(found)
    }
  }
#endif
