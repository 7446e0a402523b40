import TriggerCore

/// The JSON of records, which every surface shows alike.
extension LogRecord {
  /// `seq`, `identity`, `outcome`, `trigger`, `kind`, `event`, `payload`, `priority`, `admitted`, `tree`, `attempts`,
  /// `intents`, and what else there is.
  package var json: Value {
    var fields: Value.Map = [
      "seq": .int(seq), "identity": .int(identity), "outcome": .string("\(outcome)"),
      "trigger": .string(trigger), "kind": .string("\(kind)"), "event": .string(event),
      "priority": .string("\(priority)"), "admitted": .string("\(Timestamp(nanoseconds: admitted))"),
      "tree": .int(Int64(tree)), "attempts": .int(Int64(attempts)),
      "intents": .array(intents.map(\.json)),
    ]
    fields.add(Value(encoded: payload), as: "payload")
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

extension LogRecord.Intent {
  /// `kind`, `key`, and `store` and `value` where there is one.
  package var json: Value {
    var fields: Value.Map = [
      "kind": .string(kind), "key": .string(String(decoding: key, as: UTF8.self)),
    ]
    if !store.isEmpty { fields["store"] = .string(store) }
    if !value.isEmpty { fields.add(Value(encoded: value), as: "value") }
    return .map(fields)
  }

  /// Whether it may change the key: a replacement of the whole store may.
  ///
  /// - Parameters:
  ///   - store: nil: of any store.
  ///   - key: nil: any key.
  package func changes(store: String?, key: String?) -> Bool {
    if let store, self.store != store { return false }
    guard let key, kind != "replace" else { return !self.store.isEmpty }
    return !self.store.isEmpty && self.key.elementsEqual(key.utf8)
  }
}

extension [StateDigests.Store] {
  /// `{store: digest}`
  package var json: Value {
    var texts: Value.Map = [:]
    for store in self { texts[store.name] = .string("\(store.digest)") }
    return .map(texts)
  }
}

extension Value {
  /// The value of a canonical encoding; null when there is none.
  package init(encoded bytes: [UInt8]) {
    self = (try? bytes.withUnsafeBytes { try CanonicalEncoding.decode($0) }) ?? .null
  }

  /// False for what holds a NaN, an infinity or a byte string.
  package var hasJSONForm: Bool {
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
  package mutating func add(_ value: Value, as name: String) {
    if value.hasJSONForm { self[name] = value } else { self[name + "_text"] = .string("\(value)") }
  }
}
