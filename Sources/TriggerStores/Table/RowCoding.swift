import TriggerCore
import TriggerHost
import TriggerSQLite

/// How a value becomes the cells of a row and back.
///
/// A map's fields go into the columns of their names, as far as they fit; everything else, and any value that is no
/// map, goes into the `value` column as JSON, so nothing is lost. `value` is NULL when nothing is left.
///
/// What fits is what the column's type holds exactly as a number, text or bytes; an integer in a `real` column comes
/// back as a float, and text in a `blob` column as bytes. What JSON lacks is written as a map of one entry:
/// `{"$float": "NaN"}`, `{"$bytes": "00ff"}`; a value that is such a map itself is wrapped as `{"$map": …}`.
struct RowCoding: Sendable, Hashable {
  typealias Cell = Database.Cell

  var columns: [DatabaseTable.Column]

  /// A field that its column does not hold.
  struct Misfit: Hashable {
    var column: DatabaseTable.Column
    var kind: String
  }

  /// The cells of `columns`, then that of `value`.
  func cells(of value: Value, misfit: (Misfit) -> Void = { _ in }) -> [Cell] {
    guard !columns.isEmpty, case .map(var fields) = value else {
      return Array(repeating: .null, count: columns.count) + [json(value)]
    }
    var cells: [Cell] = []
    cells.reserveCapacity(columns.count + 1)
    for column in columns {
      guard let field = fields[column.name] else {
        cells.append(.null)
        continue
      }
      if let cell = Self.cell(of: field, as: column.type) {
        cells.append(cell)
        fields[column.name] = nil
      } else {
        cells.append(.null)
        // A null is NULL in SQL; only JSON tells it from a field that is not there.
        if !field.isNull { misfit(Misfit(column: column, kind: field.kindName)) }
      }
    }
    cells.append(fields.isEmpty ? .null : json(.map(fields)))
    return cells
  }

  /// The value of a row.
  ///
  /// - Throws: `ValueError` when a JSON column holds none.
  func value(of cells: [Cell]) throws -> Value {
    var fields: Value.Map = [:]
    for (column, cell) in zip(columns, cells) {
      fields[column.name] = try Self.value(of: cell, as: column.type)
    }
    guard case .text(let text) = cells[columns.count] else { return .map(fields) }
    let rest = try TaggedJSON.parse(text)
    guard !columns.isEmpty, case .map(let others) = rest else { return rest }
    return .map(fields.merging(others) { column, _ in column })
  }

  private func json(_ value: Value) -> Cell { .text(TaggedJSON.bytes(value)) }

  private static func cell(of value: Value, as type: DatabaseTable.ColumnType) -> Cell? {
    switch (type, value) {
    case (.json, _): .text(TaggedJSON.bytes(value))
    case (.text, .string(let text)): .text(Array(text.utf8))
    case (.integer, .int(let number)): .int(number)
    case (.integer, .double(let number)): Int64(exactly: number).map { .int($0) }
    // SQLite makes NULL of a NaN.
    case (.real, .double(let number)): number.isNaN ? nil : .double(number)
    case (.real, .int(let number)): Double(exactly: number).map { .double($0) }
    case (.boolean, .bool(let flag)): .int(flag ? 1 : 0)
    case (.blob, .bytes(let bytes)): .blob(bytes)
    case (.blob, .string(let text)): .blob(Array(text.utf8))
    default: nil
    }
  }

  private static func value(of cell: Cell, as type: DatabaseTable.ColumnType) throws -> Value? {
    switch (type, cell) {
    case (.json, .text(let text)): try TaggedJSON.parse(text)
    case (.boolean, .int(let number)): .bool(number != 0)
    case (_, .int(let number)): .int(number)
    case (_, .double(let number)): .double(number)
    case (_, .text(let text)): .string(String(decoding: text, as: UTF8.self))
    case (_, .blob(let bytes)): .bytes(bytes)
    case (_, .null): nil
    }
  }
}

/// JSON for every value, those too that JSON has no form for.
enum TaggedJSON {
  private static let (float, hex, map) = ("$float", "$bytes", "$map")

  static func bytes(_ value: Value) -> [UInt8] {
    if let bytes = try? JSON.bytes(value), !mayBeTagged(value) { return bytes }
    do { return try JSON.bytes(tag(value)) } catch {
      preconditionFailure("a tagged value is no JSON: \(error)")
    }
  }

  static func parse(_ text: [UInt8]) throws -> Value {
    untag(try JSON.parse(text, depth: 2 * ValueLimits.depth))
  }

  /// True when the value has a map that looks like a tag.
  private static func mayBeTagged(_ value: Value) -> Bool {
    switch value {
    case .array(let items): items.contains(where: mayBeTagged)
    case .map(let fields): isTag(fields) || fields.values.contains(where: mayBeTagged)
    default: false
    }
  }

  private static func isTag(_ fields: Value.Map) -> Bool {
    fields.count == 1 && [float, hex, map].contains(fields.first!.key)
  }

  private static func tag(_ value: Value) -> Value {
    switch value {
    case .double(let number) where !number.isFinite:
      [float: .string(number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity")]
    case .bytes(let bytes): [hex: .string(digits(bytes))]
    case .array(let items): .array(items.map(tag))
    case .map(let fields):
      isTag(fields) ? [map: .map(fields.mapValues(tag))] : .map(fields.mapValues(tag))
    default: value
    }
  }

  private static func untag(_ value: Value) -> Value {
    switch value {
    case .array(let items): return .array(items.map(untag))
    case .map(let fields) where isTag(fields):
      let (key, content) = fields.first!
      switch (key, content) {
      case (float, .string(let text)): return Double(text).map(Value.double) ?? value
      case (hex, .string(let text)): return bytes(text).map(Value.bytes) ?? value
      case (map, .map(let inner)): return .map(inner.mapValues(untag))
      default: return value
      }
    case .map(let fields): return .map(fields.mapValues(untag))
    default: return value
    }
  }

  private static func digits(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private static func bytes(_ digits: String) -> [UInt8]? {
    let digits = Array(digits.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) else {
        return nil
      }
      bytes.append(byte)
    }
    return bytes
  }
}
