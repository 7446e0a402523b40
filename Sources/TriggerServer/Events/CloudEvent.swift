import Foundation
import HTTPTypes
import TriggerCore

/// A CloudEvent (CloudEvents 1.0.2), and what a script gets of it: the object of its JSON format, with the attributes as
/// fields and the data as `data`.
///
///     {"specversion": "1.0", "type": "order.placed", "source": "/shop", "id": "17", "data": {"total": 12.5}}
///
/// Data that came as bytes (`data_base64`, or a body that is neither JSON nor text) is a byte string in `data`.
struct CloudEvent {
  /// What the event is called.
  let type: String
  /// What keeps an order, and whose ids are unique.
  let source: String
  /// Unique for the source.
  let id: String
  /// What a script gets.
  let payload: Value

  // MARK: The JSON format

  /// - Throws: `Problem`, `bad_event`.
  init(_ value: Value) throws {
    guard case .map(var fields) = value else { throw Self.bad("a CloudEvent is a JSON object") }
    if let text = fields["data_base64"] {
      if fields["data"] != nil { throw Self.bad("'data' and 'data_base64' exclude each other") }
      guard case .string(let text) = text, let data = Data(base64Encoded: text) else {
        throw Self.bad("'data_base64' is no base64")
      }
      fields["data_base64"] = nil
      fields["data"] = .bytes([UInt8](data))
    }
    try self.init(fields)
  }

  private init(_ fields: Value.Map) throws {
    // An attribute that is null is not there (JSON format, section 2.2).
    var fields = fields
    for (name, value) in fields where name != "data" && value == .null { fields[name] = nil }
    for (name, value) in fields where name != "data" { try Self.check(name, value) }
    func required(_ name: String) throws -> String {
      guard case .string(let text)? = fields[name], !text.isEmpty else {
        throw Self.bad("the attribute '\(name)' must be there, as text")
      }
      return text
    }
    guard try required("specversion") == "1.0" else {
      throw Self.bad("'specversion' must be 1.0")
    }
    (type, source, id) = (try required("type"), try required("source"), try required("id"))
    // As long as any sender's key.
    guard id.utf8.count <= 256 else { throw Self.bad("'id' has at most 256 bytes") }
    for name in ["datacontenttype", "dataschema", "subject", "time"] where fields[name] != nil {
      _ = try required(name)
    }
    if case .string(let time)? = fields["time"], (try? Timestamp(parsing: time)) == nil {
      throw Self.bad("'time' is no RFC 3339 time: '\(time.prefix(40))'")
    }
    payload = .map(fields)
  }

  /// Names and types of attributes (sections 3.1 and 3.1.1).
  private static func check(_ name: String, _ value: Value) throws {
    let isName =
      !name.isEmpty
      && name.utf8.allSatisfy {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (48...57).contains($0)
      }
    guard isName else {
      throw bad("'\(name.prefix(60))' is no attribute: their names are small letters and digits")
    }
    switch value {
    case .string, .bool: return
    case .int(let number) where Int32(exactly: number) != nil: return
    // The same number in JSON.
    case .double(let number) where Int32(exactly: number) != nil: return
    default: throw bad("the attribute '\(name)' must be text, a boolean or an integer of 32 bits")
    }
  }

  /// The JSON format, as OpenAPI has it.
  static let schema: Value = {
    let text: Value = ["type": ["string", "null"], "minLength": 1]
    let attribute: Value = [
      "anyOf": [["type": ["string", "boolean", "null"]], Schema.integer(Int64(Int32.min), Int64(Int32.max))]
    ]
    return [
      "type": "object", "required": ["specversion", "type", "source", "id"],
      "properties": [
        "specversion": ["const": "1.0"], "type": Schema.name, "source": Schema.name,
        "id": ["type": "string", "minLength": 1, "maxLength": 256], "datacontenttype": text,
        "dataschema": text, "subject": text, "time": ["type": ["string", "null"], "format": "date-time"],
        "data": Schema.value,
        "data_base64": [
          "type": "string", "contentEncoding": "base64",
          "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        ],
      ],
      "propertyNames": ["pattern": "^([a-z0-9]+|data_base64)$"], "additionalProperties": attribute,
      "not": ["required": ["data", "data_base64"]],
    ]
  }()

  private static func bad(_ message: String) -> Problem { Problem(.badEvent, message) }

  // MARK: Binary mode

  private static let prefix = "ce-"

  /// True when the attributes are fields of the head (HTTP binding, section 3).
  static func isBinary(_ head: HTTPRequest) -> Bool {
    head.headerFields.contains { $0.name.canonicalName == "ce-specversion" }
  }

  /// - Throws: `Problem`, `bad_event`, `bad_json`.
  init(_ head: HTTPRequest, body: [UInt8]) throws {
    var fields: Value.Map = [:]
    for field in head.headerFields where field.name.canonicalName.hasPrefix(Self.prefix) {
      let name = String(field.name.canonicalName.dropFirst(Self.prefix.count))
      // Section 3.1.3.2: escaped, and perhaps in quotes.
      var text = field.value.trimmingSpaces
      if text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") {
        text = String(text.dropFirst().dropLast())
      }
      guard let value = Target.decoded(text) else {
        throw Self.bad("the field 'ce-\(name)' has a broken escape, or is not UTF-8")
      }
      if ["data", "datacontenttype"].contains(name) { throw Self.bad("there is no field 'ce-\(name)'") }
      guard fields.updateValue(.string(value), forKey: name) == nil else {
        throw Self.bad("the field 'ce-\(name)' is given twice")
      }
    }
    if let type = head.headerFields[.contentType] {
      fields["datacontenttype"] = .string(type)
      if !body.isEmpty { fields["data"] = try Self.data(body, type) }
    } else if !body.isEmpty {
      fields["data"] = .bytes(body)
    }
    try self.init(fields)
  }

  private static func data(_ body: [UInt8], _ type: String) throws -> Value {
    let type = String(type.prefix { $0 != ";" }).trimmingSpaces.lowercased()
    if type == "application/json" || type == "text/json" || type.hasSuffix("+json") {
      return try EventRoutes.json(body)
    }
    if type.hasPrefix("text/"), let text = String(validating: body, as: UTF8.self) { return .string(text) }
    return .bytes(body)
  }
}
