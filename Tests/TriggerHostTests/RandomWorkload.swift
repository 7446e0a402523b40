import TestSupport
import TriggerCore

import TriggerHost

/// What a random operation may look at: the engine's stores, or the model's dictionaries.
protocol WorkloadReader {
  func get(_ store: String, _ key: String) throws -> Value?
  func scan(_ store: String, _ prefix: String) throws -> [(key: String, value: Value)]
  func whole(_ store: String) throws -> (seq: Int64, content: Value.Map)
}

/// Random operations as pure functions of a seed and of what they read: run by the engine in parallel and
/// by the model one by one, they must give the same.
struct RandomWorkload: Sendable {
  struct Shape: Sendable {
    var keys = 40
    var scans = true
    var wholeStores = true
    var commutative = true
    var failures = true
    var emits = true
    /// Keys that come and go by the dozen, right beside those that others look at.
    var neighbours = false
  }
  struct Failure: Error, CustomStringConvertible { var description: String }

  enum Change: Hashable {
    case put(String, String, Value?)
    case add(String, String, Value)
    case max(String, String, Value)
    case append(String, String, Value)
    case replace(String, Int64, Value.Map)
    case emit(Int64)
  }

  let shape: Shape
  static let stores = ["a", "b"]

  func run(_ seed: Int64, _ reader: some WorkloadReader) throws -> [Change] {
    var random = SplitMix64(seed: UInt64(bitPattern: seed))
    var digest: Int64 = seed
    var wholeRead: (String, Int64, Value.Map)?
    for _ in 0..<Int.random(in: 0...4, using: &random) {
      let store = Self.stores.randomElement(using: &random)!
      let key = key(&random)
      switch Int.random(in: 0..<10, using: &random) {
      case 2 where shape.neighbours, 3 where shape.neighbours:
        let items = try reader.scan(store, String(key.prefix(Int.random(in: 1...3, using: &random))))
        mix(.int(Int64(items.count)), &digest)
        for item in items { mix(.string(item.key), &digest) }
      case 0 where shape.scans:
        for item in try reader.scan(store, String(key.prefix(2))) { mix(item.value, &digest) }
      case 1 where shape.wholeStores:
        let (seq, content) = try reader.whole(store)
        mix(.int(seq), &digest)
        for item in content.sorted(by: { $0.key < $1.key }) { mix(item.value, &digest) }
        wholeRead = (store, seq, content)
      default: mix(try reader.get(store, key), &digest)
      }
    }
    if shape.failures, digest % 11 == 0 { throw Failure(description: "failed with \(digest)") }
    var changes: [Change] = []
    for _ in 0..<Int.random(in: 0...3, using: &random) {
      let store = Self.stores.randomElement(using: &random)!
      let key = key(&random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0 where shape.commutative: changes.append(.add(store, "n" + key, .int(digest % 100)))
      case 1 where shape.commutative: changes.append(.max(store, "n" + key, .int(digest % 1000)))
      case 2 where shape.commutative: changes.append(.append(store, key, .int(digest % 10)))
      case 3: changes.append(.put(store, key, nil))
      // Children have negative seeds and no children of their own: a family that doubles at each of 64
      // hops would never end.
      case 4 where shape.emits && seed >= 0: changes.append(.emit(digest | .min))
      case 6 where shape.neighbours, 7 where shape.neighbours:
        let value: Value? = Bool.random(using: &random) ? .int(digest) : nil
        for number in 0..<Int.random(in: 1...20, using: &random) {
          changes.append(.put(store, "\(key)/\(number)", value))
        }
      case 5:
        if let (store, seq, content) = wholeRead {
          changes.append(.replace(store, seq, content.merging([key: .int(digest)]) { $1 }))
        }
      default: changes.append(.put(store, key, .map(["v": .int(digest), "from": .int(seed)])))
      }
    }
    return changes
  }

  private func key(_ random: inout SplitMix64) -> String {
    "k\(Int.random(in: 0..<shape.keys, using: &random))"
  }

  private func mix(_ value: Value?, _ digest: inout Int64) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(bitPattern: digest)
    for byte in value.map({ CanonicalEncoding.encode($0) }) ?? [0] {
      hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
    }
    digest = Int64(bitPattern: hash >> 2)
  }
}

/// The serial oracle: dictionaries, one operation after another.
struct Model: WorkloadReader {
  var stores: [String: Value.Map] = [:]
  var versions: [String: Int64] = [:]
  /// Who wrote each key last, by store.
  private var writers: [String: [String: Int64]] = [:]

  func get(_ store: String, _ key: String) -> Value? { stores[store]?[key] }
  func scan(_ store: String, _ prefix: String) -> [(key: String, value: Value)] {
    (stores[store] ?? [:]).filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }
      .map { (key: $0.key, value: $0.value) }
  }
  func whole(_ store: String) -> (seq: Int64, content: Value.Map) {
    (versions[store] ?? 0, stores[store] ?? [:])
  }

  /// Applies all or none; returns false when one cannot apply.
  mutating func apply(_ changes: [RandomWorkload.Change], seq: Int64) -> Bool {
    var next = self
    for change in changes {
      switch change {
      case .put(let store, let key, let value): next.set(store, key, value, seq)
      case .add(let store, let key, let value):
        guard let sum = Self.combine(next.get(store, key), value, { $0 + $1 }) else { return false }
        next.set(store, key, sum, seq)
      case .max(let store, let key, let value):
        guard let top = Self.combine(next.get(store, key), value, { Swift.max($0, $1) }) else { return false }
        next.set(store, key, top, seq)
      case .append(let store, let key, let value):
        switch next.get(store, key) {
        case nil: next.set(store, key, .array([value]), seq)
        case .array(let items)?: next.set(store, key, .array(items + [value]), seq)
        default: return false
        }
      case .replace(let store, _, let content):
        for key in Set((next.stores[store] ?? [:]).keys).union(content.keys)
        where next.get(store, key) != content[key] { next.set(store, key, content[key], seq) }
      case .emit: break
      }
    }
    self = next
    return true
  }

  private mutating func set(_ store: String, _ key: String, _ value: Value?, _ seq: Int64) {
    stores[store, default: [:]][key] = value
    versions[store] = seq
    writers[store, default: [:]][key] = seq
  }

  /// Of the stores that changed after a seq: by the formula, of all that is there.
  func digests(changedAfter seq: Int64 = 0) -> [StateDigests.Store] {
    versions.filter { $0.value > seq }.keys.sorted().map { name in
      let items = (stores[name] ?? [:]).map { key, value in
        (key: Array(key.utf8), value: CanonicalEncoding.encode(value), version: writers[name]![key]!)
      }
      return StateDigests.Store(name: name, digest: StoreDigest(bits: PlainDigest.of(items)))
    }
  }

  /// How the digests that a record carries, every so many seqs, differ from those of what is there after it.
  func digestDifference(_ record: LogRecord, every interval: Int64) -> String? {
    let expected = record.seq % interval == 0 ? digests(changedAfter: record.seq - interval) : []
    return record.digests == expected
      ? nil : "seq \(record.seq) has the digests \(record.digests), alone they are \(expected)"
  }

  private static func combine(_ old: Value?, _ operand: Value, _ body: (Int64, Int64) -> Int64) -> Value? {
    guard case .int(let b) = operand else { return nil }
    switch old {
    case nil: return operand
    case .int(let a)?: return .int(body(a, b))
    default: return nil
    }
  }
}
