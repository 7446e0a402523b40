import TriggerCore
import TriggerHost

/// The value of a canonical encoding; null when there is none.
func decoded(_ bytes: [UInt8]) -> Value {
  (try? bytes.withUnsafeBytes { try CanonicalEncoding.decode($0) }) ?? .null
}

/// A value's text, cut after a while.
func shortened(_ value: Value) -> String { "\(value)".cut(after: 200) }

extension Value {
  /// JSON. What has no JSON form becomes the text that people see.
  var jsonText: String { (try? JSON.text(self)) ?? "\(Value.string("\(self)"))" }

  /// False for what holds a NaN, an infinity or a byte string.
  fileprivate var hasJSONForm: Bool {
    switch self {
    case .double(let number): number.isFinite
    case .bytes: false
    case .array(let elements): elements.allSatisfy(\.hasJSONForm)
    case .map(let entries): entries.values.allSatisfy(\.hasJSONForm)
    default: true
    }
  }
}

extension Value.Map {
  /// Sets a field; one whose value has no JSON form becomes `<name>_text`, as people see it.
  mutating func add(_ value: Value, as name: String) {
    if value.hasJSONForm { self[name] = value } else { self[name + "_text"] = .string("\(value)") }
  }
}

extension String {
  /// At most so many characters; three points say that there is more.
  func cut(after count: Int) -> String { self.count <= count ? self : prefix(count) + "..." }
}

extension LogRecord.Intent {
  /// One line.
  var short: String { "\(self)".cut(after: 200) }

  var json: Value {
    var fields: Value.Map = [
      "kind": .string(kind), "key": .string(String(decoding: key, as: UTF8.self)),
    ]
    if !store.isEmpty { fields["store"] = .string(store) }
    if !value.isEmpty { fields.add(decoded(value), as: "value") }
    return .map(fields)
  }

  /// Whether it may change the key: a replacement of the whole store may.
  func changes(store: String?, key: String?) -> Bool {
    if let store, self.store != store { return false }
    guard let key, kind != "replace" else { return !self.store.isEmpty }
    return !self.store.isEmpty && self.key.elementsEqual(key.utf8)
  }
}

extension FailureCode? {
  /// Behind an outcome, for people: ` (timeout)`; nothing where there is no code.
  var inBrackets: String { map { " (\($0.rawValue))" } ?? "" }
}

extension LogRecord {
  /// The word for why, behind an outcome: ` (timeout)`; nothing where there is none.
  var codeText: String { code.inBrackets }

  var json: Value {
    var fields: Value.Map = [
      "seq": .int(seq), "identity": .int(identity), "outcome": .string("\(outcome)"),
      "trigger": .string(trigger), "kind": .string("\(kind)"), "event": .string(event),
      "priority": .string("\(priority)"), "admitted": .string("\(Timestamp(nanoseconds: admitted))"),
      "tree": .int(Int64(tree)), "attempts": .int(Int64(attempts)),
      "intents": .array(intents.map(\.json)),
    ]
    fields.add(decoded(payload), as: "payload")
    if let cause { fields["cause"] = ["seq": .int(cause.seq), "index": .int(Int64(cause.index))] }
    if let retryOf {
      fields["retry_of"] = .int(retryOf)
      fields["tries"] = .int(Int64(tries))
    }
    if let code { fields["code"] = .string(code.rawValue) }
    if let error { fields["error"] = .string(error) }
    if isKilled { fields["killed"] = true }
    if !digests.isEmpty { fields["digests"] = digests.json }
    return .map(fields)
  }
}

extension [StateDigests.Store] {
  /// `{store: digest}`
  var json: Value {
    var texts: Value.Map = [:]
    for store in self { texts[store.name] = .string("\(store.digest)") }
    return .map(texts)
  }
}
