import TriggerCore

/// JSON that is made by hand, where there is one for each event and a value would cost more than the event.
extension [UInt8] {
  /// Text that needs no escapes.
  mutating func add(_ texts: String...) {
    for text in texts { append(contentsOf: text.utf8) }
  }

  mutating func add(_ number: Int64) { append(contentsOf: String(number).utf8) }

  /// A string of JSON.
  mutating func add(quoted text: String) {
    let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    if !isPlain { return add(.string(text)) }
    append(UInt8(ascii: "\""))
    append(contentsOf: text.utf8)
    append(UInt8(ascii: "\""))
  }

  mutating func add(_ value: Value) {
    if case .int(let number) = value { return add(number) }
    // What has no JSON form shows as people see it.
    append(contentsOf: (try? JSON.bytes(value)) ?? Array("\(Value.string("\(value)"))".utf8))
  }
}
