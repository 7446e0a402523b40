import Glibc
import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

/// What applying a commit takes is bounded by what the commit may be.
@Suite struct CommitBoundsTests {
  private final class Stores {
    let engine = Engine(configuration: EngineConfiguration(), clock: SystemClock(), log: nil)
    let table: StoreTable
    var seq: Int64 = 0
    init() { table = engine.stores.declare("s") }

    /// Applies a list; its error.
    func apply(_ list: [(kind: ChangeKind, key: String, value: Value)], isNew: Bool = true) -> String? {
      var writes = WriteSet()
      for item in list {
        CanonicalEncoding.encode(item.value).withUnsafeBytes { value in
          Array(item.key.utf8).withUnsafeBufferPointer {
            writes.add(.change(item.kind, .passUnretained(table)), key: $0, value: value)
          }
        }
      }
      seq += 1
      do throws(Failure) {
        var committer = engine.withState { $0.committer }
        committer.mostReplaced = 1000
        try committer.apply(writes, seq: seq, isNew: isNew)
      } catch { return error.message }
      return nil
    }

    var contents: [String: Value] {
      var contents: [String: Value] = [:]
      table.scan(prefix: UnsafeBufferPointer(start: nil, count: 0), at: .max) { entry, version in
        contents[String(decoding: Entry.keyBytes(entry), as: UTF8.self)] = try? CanonicalEncoding.decode(
          Version.value(version))
        return true
      }
      return contents
    }
  }

  /// It takes no more than so many nanoseconds of CPU time.
  private static func within(_ limit: Int64, _ body: () -> Void) {
    let start = Thread.time(CLOCK_THREAD_CPUTIME_ID)
    body()
    let taken = Thread.time(CLOCK_THREAD_CPUTIME_ID) - start
    #expect(taken < limit)
  }

  /// One element each, and each was a copy of all before: 59 s.
  @Test func manyAppendsOfOneKey() {
    let stores = Stores()
    let list = (0..<10_000).map {
      (kind: ChangeKind.append, key: "k", value: Value.string("element number \($0)"))
    }
    Self.within(1_000_000_000) { #expect(stores.apply(list) == nil) }
    guard case .array(let items)? = stores.contents["k"] else { return #expect(Bool(false), "no list") }
    #expect(items.count == 10_000 && items[9999] == .string("element number 9999"))
    let texts = list.map { (kind: ChangeKind.appendText, key: "t", value: $0.value) }
    Self.within(1_000_000_000) { #expect(stores.apply(texts) == nil) }
    let numbers = (0..<10_000).map { _ in (kind: ChangeKind.add, key: "n", value: Value.int(1)) }
    Self.within(1_000_000_000) { #expect(stores.apply(numbers) == nil) }
    #expect(stores.contents["n"] == .int(10_000))
  }

  /// What is there is copied once, and not read element by element.
  @Test func appendsToALongList() {
    let stores = Stores()
    #expect(stores.apply([(.put, "k", .array(Array(repeating: .int(1), count: 900_000)))]) == nil)
    let some = (0..<16).map { _ in (kind: ChangeKind.append, key: "k", value: Value.int(2)) }
    // Decoding and encoding it took a second in a debug build, for each of them.
    Self.within(200_000_000) { #expect(stores.apply(some) == nil) }
    Self.within(100_000_000) {
      #expect(stores.apply([(.add, "k", .int(2))])?.contains("is an array") == true)
    }
  }

  /// A byte for each of many long values would be far more work than the commit is long.
  @Test func appendsToManyLongValues() {
    let stores = Stores()
    let text = Value.string(String(repeating: "x", count: 1_000_000))
    let keys = (0..<70).map { "k\($0)" }
    for key in keys { #expect(stores.apply([(.put, key, text)]) == nil) }
    let list = keys.map { (kind: ChangeKind.appendText, key: $0, value: Value.string("y")) }
    let error = stores.apply(list)
    #expect(error?.contains("the limit of one commit is 67108864") == true)
    #expect(stores.apply(Array(list.prefix(60))) == nil)
    // What was decided before stays decided.
    #expect(stores.apply(list, isNew: false) == nil)
  }

  @Test func replacementsOfLargeStores() {
    let stores = Stores()
    func map(_ range: Range<Int>) -> Value {
      var map: Value.Map = [:]
      for number in range { map["k\(number)"] = .int(Int64(number)) }
      return .map(map)
    }
    #expect(stores.apply([(.replace, "", map(0..<600))]) == nil)
    #expect(
      stores.apply([(.replace, "", map(600..<1190))])?.contains("would set or change 1190 keys") == true)
    #expect(stores.apply([(.replace, "", map(0..<1001))])?.contains("would set or change 1001 keys") == true)
    #expect(stores.apply([(.replace, "", map(1..<601))]) == nil)
    #expect(stores.contents.count == 600 && stores.contents["k0"] == nil)
  }

  /// Random lists against the definition: each intent on what those before it left. `SEED=1 swift test --filter
  /// CommitBoundsTests` repeats one.
  @Test func listsAreWhatOneAfterAnotherGives() throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let stores = Stores()
    var model: [String: Value] = [:]
    for step in 0..<4000 {
      let keys = Int.random(in: 0..<8, using: &random) == 0 ? 40 : 3
      let list = (0..<Int.random(in: 1...(keys == 3 ? 6 : 60), using: &random)).map { _ in
        Self.intent("k\(Int.random(in: 0..<keys, using: &random))", using: &random)
      }
      var after = model
      let wanted = Self.apply(list, to: &after)
      if wanted == nil { model = after }
      let error = stores.apply(list)
      #expect(error == wanted, "seed \(seed), step \(step): \(list)")
      #expect(stores.contents == model, "seed \(seed), step \(step): \(list)")
      if error != wanted || stores.contents != model { return }
    }
  }

  private static func intent(
    _ key: String, using random: inout SplitMix64
  ) -> (kind: ChangeKind, key: String, value: Value) {
    let scalars: [Value] = [
      .int(3), .int(-7), .double(1.5), .int(.max), .string("ä"), .bytes([0xc3]), .bytes([0xa4, 0xff]), .null,
      .bool(true), .array([]), .map(["a": .int(1)]),
    ]
    let value = scalars.randomElement(using: &random)!
    switch Int.random(in: 0..<14, using: &random) {
    case 0: return (.put, key, value)
    case 1: return (.delete, key, .null)
    case 2: return (.put, key, .array([value]))
    case 3: return (.put, key, .string("text"))
    case 4...6: return (.append, key, value)
    case 7...9:
      return (
        .appendText, key,
        [.string("ö"), .string(""), .bytes([0xc3]), .bytes([0xb6]), value].randomElement(using: &random)!
      )
    case 10: return (.max, key, [.int(4), .double(4), value].randomElement(using: &random)!)
    case 11: return (.min, key, [.int(2), value].randomElement(using: &random)!)
    case 12:
      var map: Value.Map = [:]
      for _ in 0..<3 { map["k\(Int.random(in: 0..<5, using: &random))"] = value }
      return (.replace, "", .map(map))
    default: return (.add, key, [.int(2), .double(0.5), value].randomElement(using: &random)!)
    }
  }

  /// The readable definition. Nil when all can apply.
  private static func apply(
    _ list: [(kind: ChangeKind, key: String, value: Value)], to state: inout [String: Value]
  ) -> String? {
    for (kind, key, value) in list {
      let old = state[key]
      switch (kind, old, value) {
      case (.put, _, _): state[key] = value
      case (.delete, _, _): state[key] = nil
      case (.replace, _, .map(let entries)):
        state = Dictionary(uniqueKeysWithValues: entries.map { ($0, $1) })
      case (.append, nil, _): state[key] = .array([value])
      case (.append, .array(let items)?, _): state[key] = .array(items + [value])
      case (.append, let old?, _):
        return "append at s/\(key): the value there is \(name(old)), expected an array"
      case (.appendText, _, _):
        guard let end = bytes(value) else {
          return "append_text at s/\(key): expected a string, got \(name(value))"
        }
        guard let start = old.map({ bytes($0) }) ?? [] else {
          return "append_text at s/\(key): the value there is \(name(old!)), expected a string"
        }
        state[key] = String(validating: start + end, as: UTF8.self).map { .string($0) } ?? .bytes(start + end)
      case (_, let old?, _) where number(old) == nil:
        return "\(kind) at s/\(key): the value there is \(name(old)), expected a number"
      case (_, _, let value) where number(value) == nil:
        return "\(kind) at s/\(key): expected a number, got \(name(value))"
      case (_, nil, _): state[key] = value
      case (.add, .int(let a)?, .int(let b)):
        let (sum, overflow) = a.addingReportingOverflow(b)
        if overflow { return "add at s/\(key): \(a) + \(b) does not fit in 64 bits" }
        state[key] = .int(sum)
      case (.add, let old?, _): state[key] = .double(number(old)! + number(value)!)
      case (.max, let old?, _): state[key] = number(value)! > number(old)! ? value : old
      case (_, let old?, _): state[key] = number(value)! < number(old)! ? value : old
      }
    }
    return nil
  }

  private static func number(_ value: Value) -> Double? {
    switch value {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }

  private static func bytes(_ value: Value) -> [UInt8]? {
    switch value {
    case .string(let text): Array(text.utf8)
    case .bytes(let bytes): bytes
    default: nil
    }
  }

  private static func name(_ value: Value) -> String {
    switch value {
    case .null: "null"
    case .bool: "a boolean"
    case .int, .double: "a number"
    case .string: "a string"
    case .bytes: "a byte string"
    case .array: "an array"
    case .map: "a map"
    }
  }
}
