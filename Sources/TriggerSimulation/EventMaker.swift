import TriggerCore

/// Makes events: what each is to read, write and emit.
struct EventMaker {
  let keys: Int
  let scans: Bool
  let wholeStores: Bool
  let emits: Bool
  /// Events that get a number so far; no two have the same.
  private(set) var newest: Int64 = 0

  init(_ plan: Plan) {
    keys = plan.keys
    scans = plan.scans
    wholeStores = plan.wholeStores
    emits = plan.emits
  }

  /// The content of an event, and of those that its execution emits.
  mutating func event(_ random: inout SplitMix64, depth: Int = 0) -> Value.Map {
    newest += 1
    var fields: Value.Map = [
      "n": .int(newest), "seed": .int(Int64.random(in: 0..<1_000_003, using: &random)),
      "key": .string("o\(Int.random(in: 0..<4, using: &random))"),
    ]
    fields.merge(work(&random)) { $1 }
    if Int.random(in: 0..<8, using: &random) == 0 { fields["brittle"] = .bool(true) }
    guard emits, depth < 2 else { return fields }
    let count = [0, 0, 0, 1, 1, 2].randomElement(using: &random)!
    if count > 0 {
      fields["emits"] = .array(
        (0..<count).map { _ in
          var emitted = event(&random, depth: depth + 1)
          emitted["event"] = .string(Scripts.events.randomElement(using: &random)!)
          return .map(emitted)
        })
    } else if depth == 0, Int.random(in: 0..<20, using: &random) == 0 {
      fields["loops"] = .bool(true)
    }
    return fields
  }

  /// Reads and writes alone.
  func work(_ random: inout SplitMix64) -> Value.Map {
    let reads = (0..<Int.random(in: 0...3, using: &random)).map { _ in read(&random) }
    let writes = (0..<Int.random(in: 0...3, using: &random)).map { _ in write(&random) }
    return ["reads": .array(reads), "writes": .array(writes)]
  }

  private func read(_ random: inout SplitMix64) -> Value {
    switch Int.random(in: 0..<10, using: &random) {
    case 0 where scans: place("scan", prefix: true, &random)
    case 1 where scans: place("count", prefix: true, &random)
    case 2 where wholeStores: place("whole", &random)
    default: place("get", &random)
    }
  }

  private func write(_ random: inout SplitMix64) -> Value {
    let kinds = ["put", "put", "put", "put", "delete", "add", "max", "min", "append", "replace"]
    let kind = kinds.randomElement(using: &random)!
    // Lists and numbers lie apart, but for a few intents that cannot apply.
    let wantsList = (kind == "append") != (Int.random(in: 0..<15, using: &random) == 0)
    return place(kind, list: wantsList && kind != "replace", &random)
  }

  private func place(
    _ kind: String, prefix: Bool = false, list: Bool = false, _ random: inout SplitMix64
  ) -> Value {
    let key = (list ? "list/" : "k") + "\(Int.random(in: 0..<keys, using: &random))"
    return [
      "kind": .string(kind), "store": .string(["a", "b"].randomElement(using: &random)!),
      "key": .string(prefix ? String(key.prefix(2)) : key),
    ]
  }
}
