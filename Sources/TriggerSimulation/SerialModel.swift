import TestSupport
import TriggerCore
import TriggerHost

/// The oracle: runs the logged operations alone, one after another, on plain dictionaries, and says what each
/// should have given. Shares no code with the engine but the encoding of values.
struct SerialModel {
  struct Store: Equatable {
    var content: Value.Map = [:]
    /// Seq of the last commit that changed it.
    var seq: Int64 = 0
    /// Seqs that wrote the values.
    var versions: [String: Int64] = [:]

    /// By the formula, of all that is there.
    var digest: StoreDigest {
      StoreDigest(
        bits: PlainDigest.of(
          content.map { (Array($0.utf8), CanonicalEncoding.encode($1), versions[$0] ?? 0) }))
    }
  }

  struct Place: Hashable {
    var store: String
    var key: String
  }

  struct Intent: Equatable {
    var kind: String
    var store = ""
    var key: String
    var value: Value?
  }

  /// What an operation gives.
  enum Result {
    case commits([Intent])
    /// Its error has this text in it.
    case fails(String)
  }

  var stores: [String: Store] = [:]

  /// Of the stores that changed after a seq, as records and checkpoints have them.
  func digests(changedAfter seq: Int64 = 0) -> [StateDigests.Store] {
    stores.filter { $0.value.seq > seq }.map { StateDigests.Store(name: $0, digest: $1.digest) }
      .sorted { $0.name < $1.name }
  }

  // MARK: Executing

  /// What the record's operation gives, run now.
  func execute(_ record: LogRecord, salt: Int64) throws -> Result {
    let event = try record.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
    if record.kind == .commit { return .commits(watch(event)) }
    var digest = ((event["seed"]?.intValue ?? 0) + salt) % 1_000_003
    func mix(_ number: Int64) { digest = (digest * 31 + number) % 1_000_003 }
    mix(record.identity)
    mix(record.admitted / 1_000_000_000)
    var whole: Set<String> = []
    for read in event["reads"]?.arrayValue ?? [] {
      let name = read["store"]!.stringValue!
      look(at: stores[name] ?? Store(), read, mix)
      if read["kind"] == "whole" { whole.insert(name) }
    }
    let isBrittle = event["brittle"] == .bool(true)
    if digest % 17 == 0 || isBrittle && digest % 2 == 0 { return .fails("digest \(digest)\n") }
    var intents: [Intent] = []
    for write in event["writes"]?.arrayValue ?? [] {
      if let intent = intent(write, digest, whole) { intents.append(intent) }
    }
    if let n = event["n"]?.intValue {
      intents.append(
        Intent(kind: "put", store: "results", key: "r\(n % 30)", value: .string("result \(digest % 7)")))
    }
    if digest % 3 == 0 {
      intents.append(
        Intent(kind: "send", key: "s\(digest % 5)", value: .map(["type": "sum", "sum": .int(digest)])))
    }
    if digest % 7 == 0 {
      intents.append(
        Intent(
          kind: "broadcast", key: "sums",
          value: .map(["sum": .int(digest), "by": .string(record.trigger)])))
    }
    let by = (event["by"]?.stringValue ?? "") + "/" + record.trigger
    for emit in event["emits"]?.arrayValue ?? [] {
      intents.append(emission(emit, named: emit["event"]!.stringValue!, by: by, seed: digest))
    }
    if event["loops"] == .bool(true) {
      var intent = emission(event, named: "echo", by: by, seed: digest)
      intent.value = .map(intent.value!.mapValue!.merging(["loops": .bool(true)]) { $1 })
      intents.append(intent)
    }
    return .commits(intents)
  }

  private func watch(_ event: Value) -> [Intent] {
    [
      Intent(
        kind: "add", store: "watch", key: "keys", value: .int(Int64(event["keys"]!.arrayValue!.count))),
      Intent(
        kind: "put", store: "watch", key: "last/\(event["trigger"]!.stringValue!)", value: event["seq"]),
    ]
  }

  private func look(at store: Store, _ read: Value, _ mix: (Int64) -> Void) {
    let key = read["key"]!.stringValue!
    func all(_ prefix: String) -> [(key: String, value: Value)] {
      store.content.filter { $0.key.hasPrefix(prefix) }
        .sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }
    func mixAll(_ items: [(key: String, value: Value)]) {
      for item in items {
        mix(Self.number(.string(item.key)))
        mix(Self.number(item.value))
      }
    }
    switch read["kind"]!.stringValue! {
    case "get": mix(Self.number(store.content[key]))
    case "scan": mixAll(all(key))
    case "count": mix(Int64(all(key).count))
    default:
      mix(store.seq)
      mixAll(all(""))
    }
  }

  private static func number(_ value: Value?) -> Int64 {
    switch value {
    case .int(let number): number
    case .string(let text): Int64(text.utf8.count)
    case .array(let items): Int64(items.count)
    default: 7
    }
  }

  private func intent(_ write: Value, _ digest: Int64, _ whole: Set<String>) -> Intent? {
    let (kind, store) = (write["kind"]!.stringValue!, write["store"]!.stringValue!)
    var intent = Intent(kind: kind, store: store, key: write["key"]!.stringValue!, value: .int(digest))
    switch kind {
    case "delete": intent.value = nil
    case "add", "append": intent.value = .int(digest % 10)
    case "replace":
      guard whole.contains(store) else { return nil }
      let content = stores[store]?.content ?? [:]
      intent.value = .map(content.merging([intent.key: .int(digest)]) { $1 })
      intent.key = ""
    default: break
    }
    return intent
  }

  private func emission(_ emit: Value, named name: String, by: String, seed: Int64) -> Intent {
    var payload: Value.Map = ["by": .string(by), "seed": .int(seed)]
    for field in ["n", "key", "brittle", "reads", "writes", "emits"] { payload[field] = emit[field] }
    return Intent(kind: "emit", key: name, value: .map(payload))
  }

  // MARK: Applying

  /// Applies the intents of a seq, all or none.
  ///
  /// - Returns: the keys that it changed, or why one cannot apply.
  mutating func apply(_ intents: [Intent], seq: Int64) -> (changed: Set<Place>, refusal: String?) {
    var new = stores
    var changed: Set<Place> = []
    for intent in intents where !intent.store.isEmpty {
      let place = Place(store: intent.store, key: intent.key)
      let old = new[intent.store]?.content[intent.key]
      switch Self.combine(intent, old) {
      case .set(let value):
        new[intent.store, default: Store()].content[intent.key] = value
        changed.insert(place)
      case .replace(let content):
        changed.formUnion(
          differences(stores[intent.store]?.content ?? [:], content, intent.store))
        new[intent.store, default: Store()].content = content
      case .refuse: return ([], "\(intent.kind) at \(intent.store)/\(intent.key): the value there is")
      }
    }
    for place in changed {
      new[place.store]!.seq = seq
      new[place.store]!.versions[place.key] = new[place.store]!.content[place.key].map { _ in seq }
    }
    stores = new
    return (changed, nil)
  }

  private enum Effect {
    case set(Value?)
    case replace(Value.Map)
    case refuse
  }

  private static func combine(_ intent: Intent, _ old: Value?) -> Effect {
    switch (intent.kind, old) {
    case ("put", _): return .set(intent.value)
    case ("delete", _): return .set(nil)
    case ("replace", _): return .replace(intent.value!.mapValue!)
    case ("append", nil): return .set(.array([intent.value!]))
    case ("append", .array(let items)): return .set(.array(items + [intent.value!]))
    case ("append", _): return .refuse
    case (_, nil): return .set(intent.value)
    case (let kind, .int(let number)):
      let operand = intent.value!.intValue!
      return .set(
        .int(kind == "add" ? number + operand : kind == "max" ? max(number, operand) : min(number, operand)))
    default: return .refuse
    }
  }

  /// Keys that a replacement changes: those that differ from what is committed. (What earlier intents of the
  /// seq have changed counts anyway.)
  private func differences(
    _ committed: Value.Map, _ content: Value.Map, _ store: String
  ) -> Set<Place> {
    var found: Set<Place> = []
    for key in Set(committed.keys).union(content.keys) where committed[key] != content[key] {
      found.insert(Place(store: store, key: key))
    }
    return found
  }
}
