import TriggerCore

extension ConfigNode {
  /// The node as a value of the engine, by YAML 1.2's core forms: `null`, `true`, `12`, `0x1f`, `1.5`,
  /// text, lists and maps. Reports numbers that a `Value` in JSON cannot hold.
  func value(_ reader: ConfigReader, path: String) -> Value {
    switch content {
    case .scalar(let text, let isPlain):
      return isPlain ? plainValue(text, reader, path) : .string(text)
    case .list(let items):
      return .array(items.enumerated().map { $1.value(reader, path: "\(path)[\($0)]") })
    case .map(let entries):
      var map: Value.Map = [:]
      for entry in entries { map[entry.key] = entry.value.value(reader, path: "\(path).\(entry.key)") }
      return .map(map)
    }
  }

  private func plainValue(_ text: String, _ reader: ConfigReader, _ path: String) -> Value {
    if isNull { return .null }
    if let flag = ConfigNode.bool(text) { return .bool(flag) }
    guard let first = text.utf8.first, "+-.0123456789".utf8.contains(first) else { return .string(text) }
    if let number = ConfigNode.integer(text) { return .int(number) }
    if text.wholeMatch(of: /[-+]?\d+/) != nil {
      reader.fail(self, "\(path): the integer `\(text)` is beyond 64 bits; quote it to keep it as text")
      return .null
    }
    if [".nan", ".inf", "+.inf", "-.inf"].contains(text.lowercased()) {
      reader.fail(self, "\(path): JSON has no `\(text)`; leave it out or write it as text")
      return .null
    }
    return ConfigNode.double(text).map(Value.double) ?? .string(text)
  }

  static func bool(_ text: String) -> Bool? {
    switch text {
    case "true", "True", "TRUE": true
    case "false", "False", "FALSE": false
    default: nil
    }
  }

  static func integer(_ text: String) -> Int64? {
    if text.hasPrefix("0x") { return Int64(text.dropFirst(2), radix: 16) }
    if text.hasPrefix("0o") { return Int64(text.dropFirst(2), radix: 8) }
    return Int64(text)
  }

  /// Decimal forms only: Swift would take `inf`, `nan` and hexadecimal floats as well.
  static func double(_ text: String) -> Double? {
    guard text.wholeMatch(of: /[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?/) != nil else { return nil }
    let number = Double(text.hasSuffix(".") ? text + "0" : text)
    return number.flatMap { $0.isFinite ? $0 : nil }
  }
}
