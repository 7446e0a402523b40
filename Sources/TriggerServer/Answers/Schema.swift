import TriggerCore

/// Shapes of JSON, as OpenAPI 3.1 has them (JSON Schema 2020-12).
enum Schema {
  static let text: Value = ["type": "string"]
  static let flag: Value = ["type": "boolean"]
  static let number: Value = ["type": "number"]
  /// Anything.
  static let any: Value = true
  /// Any JSON that can be stored: integers have 64 bits.
  static let value: Value = ["$ref": "#/components/schemas/Value"]
  /// What `value` refers to.
  static let storable: Value = [
    "anyOf": [
      ["type": ["null", "boolean", "string"]], integer(.min, .max),
      ["type": "number", "not": ["type": "integer"]], array(value), map(of: value),
    ]
  ]
  /// Text that is there.
  static let name: Value = ["type": "string", "minLength": 1]
  static let anyMap: Value = ["type": "object"]
  static let time: Value = ["type": "string", "format": "date-time"]
  /// A seq, from 1.
  static let seq = integer(1, .max)
  static let count = integer(0, .max)
  /// The path of another page.
  static let problem = object(
    [
      "type": text, "code": text, "title": text, "status": integer(400, 599), "detail": text,
    ], optional: ["detail"])

  static func integer(_ least: Int64, _ most: Int64) -> Value {
    var fields: Value.Map = ["type": "integer", "minimum": .int(least)]
    fields["maximum"] = .int(most)
    return .map(fields)
  }

  static func words(_ words: String...) -> Value {
    ["type": "string", "enum": .array(words.map { .string($0) })]
  }

  static func array(_ element: Value) -> Value { ["type": "array", "items": element] }

  /// A map by names that nobody knows in advance.
  static func map(of value: Value) -> Value { ["type": "object", "additionalProperties": value] }

  /// An object with these members and perhaps others.
  ///
  /// - Parameter optional: those that need not be there.
  static func object(_ members: Value.Map, optional: Set<String> = []) -> Value {
    let required = members.keys.filter { !optional.contains($0) }.sorted()
    return [
      "type": "object", "properties": .map(members), "required": .array(required.map { .string($0) }),
    ]
  }

  /// As above, with these members alone.
  static func closed(_ members: Value.Map, optional: Set<String> = []) -> Value {
    guard case .map(var fields) = object(members, optional: optional) else { return any }
    fields["additionalProperties"] = false
    return .map(fields)
  }

  /// One of these.
  static func either(_ shapes: Value...) -> Value { ["oneOf": .array(shapes)] }
}
