/// Writes JSON text; `JSON` documents the form.
struct JSONWriter {
  enum Form {
    /// Refuses what JSON lacks.
    case strict
    /// Writes what JSON lacks in a readable way, for descriptions. Never throws.
    case lenient
  }

  private(set) var output: [UInt8] = []
  private let style: JSON.Style
  private let form: Form
  private var level = 0

  init(style: JSON.Style, form: Form) {
    self.style = style
    self.form = form
  }

  static func describe(_ value: Value) -> String {
    var writer = JSONWriter(style: .compact, form: .lenient)
    do {
      try writer.write(value)
    } catch {
      preconditionFailure("the lenient form refused a value: \(error)")
    }
    return String(decoding: writer.output, as: UTF8.self)
  }

  mutating func write(_ value: Value) throws(ValueError) {
    switch value {
    case .null: append("null")
    case .bool(let flag): append(flag ? "true" : "false")
    case .int(let number): append(number.description)
    case .double(let number): try write(number)
    case .string(let text): write(text)
    case .bytes(let bytes): try write(bytes)
    case .array(let elements): try write(elements)
    case .map(let entries): try write(entries)
    }
  }

  private mutating func write(_ number: Double) throws(ValueError) {
    if number.isFinite {
      // Swift prints the shortest digits that read back exactly, always with a point or an exponent.
      append(number.description)
      return
    }
    let name = number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity"
    try refuse(name)
    append(name)
  }

  private mutating func write(_ bytes: [UInt8]) throws(ValueError) {
    try refuse("a byte string")
    append("h'")
    for byte in bytes {
      output.append(Self.hexDigits[Int(byte >> 4)])
      output.append(Self.hexDigits[Int(byte & 15)])
    }
    append("'")
  }

  private func refuse(_ what: String) throws(ValueError) {
    guard form == .strict else { return }
    throw ValueError(.noJSONForm, "\(what) has no JSON form", path: "$")
  }

  private mutating func write(_ elements: [Value]) throws(ValueError) {
    open("[")
    for index in elements.indices {
      separate(first: index == 0)
      do {
        try write(elements[index])
      } catch {
        throw error.inside(index: index)
      }
    }
    close("]", empty: elements.isEmpty)
  }

  private mutating func write(_ entries: Value.Map) throws(ValueError) {
    open("{")
    var first = true
    // Not `String.<`, which compares normalised text.
    for (key, value) in entries.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
      separate(first: first)
      first = false
      write(key)
      append(style == .pretty ? ": " : ":")
      do {
        try write(value)
      } catch {
        throw error.inside(key: key)
      }
    }
    close("}", empty: entries.isEmpty)
  }

  private mutating func open(_ bracket: String) {
    append(bracket)
    level += 1
  }

  private mutating func close(_ bracket: String, empty: Bool) {
    level -= 1
    if !empty { breakLine() }
    append(bracket)
  }

  private mutating func separate(first: Bool) {
    if !first { append(",") }
    breakLine()
  }

  private mutating func breakLine() {
    guard style == .pretty else { return }
    append("\n")
    output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * level))
  }

  private mutating func write(_ text: String) {
    output.reserveCapacity(output.count + text.utf8.count + 2)
    output.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      if byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") {
        output.append(byte)
      } else {
        appendEscape(of: byte)
      }
    }
    output.append(UInt8(ascii: "\""))
  }

  private mutating func appendEscape(of byte: UInt8) {
    switch byte {
    case UInt8(ascii: "\""): append("\\\"")
    case UInt8(ascii: "\\"): append("\\\\")
    case 0x08: append("\\b")
    case 0x09: append("\\t")
    case 0x0a: append("\\n")
    case 0x0c: append("\\f")
    case 0x0d: append("\\r")
    default:
      append("\\u00")
      output.append(Self.hexDigits[Int(byte >> 4)])
      output.append(Self.hexDigits[Int(byte & 15)])
    }
  }

  private mutating func append(_ text: String) { output.append(contentsOf: text.utf8) }

  private static let hexDigits = Array("0123456789abcdef".utf8)
}
