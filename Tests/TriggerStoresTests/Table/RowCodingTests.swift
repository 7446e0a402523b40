import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite
@testable import TriggerStores

/// Values as rows: nothing is lost, and what is plain is plain in SQL.
@Suite struct RowCodingTests {
  private typealias Cell = Database.Cell

  private static func text(_ text: String) -> Cell { .text(Array(text.utf8)) }

  private static let cases: [(type: DatabaseTable.ColumnType, value: Value, cell: Cell?)] = [
    (.text, "é", text("é")), (.text, "", text("")), (.text, "a\u{0}b", text("a\u{0}b")), (.text, 5, nil),
    (.text, .bytes([0x61]), nil),
    (.integer, 5, .int(5)), (.integer, .int(.min), .int(.min)), (.integer, 5.0, .int(5)),
    (.integer, 5.5, nil),
    (.integer, .double(1e19), nil), (.integer, .double(.nan), nil), (.integer, "5", nil),
    (.integer, true, nil),
    (.real, 5.5, .double(5.5)), (.real, 5, .double(5)), (.real, .int(.max), nil),
    (.real, .int(1 << 53), .double(0x1p53)),
    (.real, .int(1 << 53 + 1), nil), (.real, .double(.infinity), .double(.infinity)),
    (.real, .double(.nan), nil),
    (.real, "5.5", nil),
    (.boolean, true, .int(1)), (.boolean, false, .int(0)), (.boolean, 1, nil),
    (.json, ["a": [1, 1.0, .null]], text(#"{"a":[1,1.0,null]}"#)), (.json, .null, text("null")),
    (.json, "x", text(#""x""#)),
    (.blob, .bytes([0, 255]), .blob([0, 255])), (.blob, .bytes([]), .blob([])),
    (.blob, "é", .blob(Array("é".utf8))),
    (.blob, [1], nil), (.text, .null, nil),
  ]

  @Test(arguments: cases)
  func fitsOrIsKeptAsJSON(type: DatabaseTable.ColumnType, value: Value, cell: Database.Cell?) throws {
    let coding = RowCoding(columns: [.init("x", type)])
    var misfits: [RowCoding.Misfit] = []
    let cells = coding.cells(of: ["x": value]) { misfits.append($0) }
    if let cell {
      #expect(cells == [cell, .null])
      #expect(misfits == [])
    } else {
      #expect(cells[0] == .null)
      #expect(try TaggedJSON.parse(cells[1].bytes) == ["x": value])
      #expect(misfits.map(\.kind) == (value.isNull ? [] : [value.kindName]))
    }
  }

  @Test func theRestIsJSON() {
    let coding = RowCoding(columns: [.init("a", .integer), .init("b", .text)])
    #expect(coding.cells(of: ["b": "x"]) == [.null, Self.text("x"), .null])
    #expect(coding.cells(of: [:]) == [.null, .null, .null])
    #expect(coding.cells(of: ["a": 1, "c": [true]]) == [.int(1), .null, Self.text(#"{"c":[true]}"#)])
    #expect(coding.cells(of: 5) == [.null, .null, Self.text("5")])
    #expect(coding.cells(of: .null) == [.null, .null, Self.text("null")])
    #expect(RowCoding(columns: []).cells(of: [:]) == [Self.text("{}")])
  }

  @Test func whatJSONLacksIsTagged() throws {
    let cases: KeyValuePairs<Value, String> = [
      .double(.nan): #"{"$float":"NaN"}"#, [.double(-.infinity)]: #"[{"$float":"-Infinity"}]"#,
      .bytes([0, 255]): #"{"$bytes":"00ff"}"#, ["$float": "NaN"]: #"{"$map":{"$float":"NaN"}}"#,
      ["$map": ["$bytes": 1]]: #"{"$map":{"$map":{"$map":{"$bytes":1}}}}"#,
      ["$bytes": "a", "b": 1]: #"{"$bytes":"a","b":1}"#,
    ]
    for (value, json) in cases {
      #expect(String(decoding: TaggedJSON.bytes(value), as: UTF8.self) == json)
      #expect(try TaggedJSON.parse(Array(json.utf8)) == value)
    }
  }

  /// Random values through a real table come back as they were, apart from the kind of numbers in columns.
  @Test func randomValuesComeBack() throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let db = try Database(path: ":memory:")
    let columns: [DatabaseTable.Column] = DatabaseTable.ColumnType.allCases.map { .init("\($0)", $0) }
    let table = DatabaseTable("t", columns: columns)
    let layout = TableLayout(table: table, db: db)
    _ = try layout.makeColumns(columns)
    let coding = RowCoding(columns: columns)
    let names = (columns.map(\.name) + ["value", "key"]).map(TableLayout.quoted).joined(separator: ", ")
    for n in 0..<1000 {
      var fields: Value.Map = [:]
      for column in columns where Bool.random(using: &random) {
        fields[column.name] = Self.value(&random, depth: 2)
      }
      if Bool.random(using: &random) { fields["more"] = Self.value(&random, depth: 3) }
      let value = n % 10 == 0 ? Self.value(&random, depth: 3) : .map(fields)
      let cells = coding.cells(of: value) + [.int(Int64(n))]
      try db.run("INSERT INTO t (\(names)) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", cells.map { .cell($0) })
      var read: [Database.Cell] = []
      try db.run("SELECT \(names) FROM t WHERE \"key\" = ?", [.int(Int64(n))]) { row in
        read = (0..<columns.count + 1).map { row.cell(Int32($0)) }
      }
      #expect(read == Array(cells.dropLast()), "seed \(seed): the row is what was written")
      #expect(try coding.value(of: read) == Self.plain(value), "seed \(seed): \(value)")
    }
  }

  /// What columns make of numbers and bytes.
  private static func plain(_ value: Value) -> Value {
    guard case .map(var fields) = value else { return value }
    if case .double(let number)? = fields["integer"], let whole = Int64(exactly: number) {
      fields["integer"] = .int(whole)
    }
    if case .int(let number)? = fields["real"], let float = Double(exactly: number) {
      fields["real"] = .double(float)
    }
    // SQLite has one zero.
    if case .double(0)? = fields["real"] { fields["real"] = .double(0) }
    if case .string(let text)? = fields["blob"] { fields["blob"] = .bytes(Array(text.utf8)) }
    return .map(fields)
  }

  private static func value(_ random: inout SplitMix64, depth: Int) -> Value {
    let number = Int64(bitPattern: random.next()) >> Int64.random(in: 0..<64, using: &random)
    switch Int.random(in: 0..<(depth > 0 ? 10 : 7), using: &random) {
    case 0: return .null
    case 1: return .bool(number % 2 == 0)
    case 2: return .int(number)
    case 3:
      return .double([Double(number), -0.0, .nan, .infinity, 0.1, 1e300].randomElement(using: &random)!)
    case 4: return .double(Double(bitPattern: random.next()))
    case 5: return .bytes((0..<number & 7).map { UInt8(truncatingIfNeeded: $0 &* number) })
    case 6:
      return .string(["", "a", "é", "e\u{301}", "\u{0}", "'\"", "😀", "5"].randomElement(using: &random)!)
    case 7: return .array((0..<number & 3).map { _ in value(&random, depth: depth - 1) })
    default:
      let names = ["a", "$float", "$bytes", "$map", "value", ""]
      var fields: Value.Map = [:]
      for _ in 0..<number & 3 {
        fields[names.randomElement(using: &random)!] = value(&random, depth: depth - 1)
      }
      return .map(fields)
    }
  }
}
