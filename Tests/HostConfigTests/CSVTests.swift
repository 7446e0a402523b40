import Foundation
import TestSupport
import Testing
import TriggerCore

@testable import HostConfig

/// Numbers that a seed gives.
private struct Random {
  var state: UInt64

  mutating func below(_ bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((state >> 33) % UInt64(bound))
  }
  mutating func pick<Item>(_ items: [Item]) -> Item { items[below(items.count)] }
  mutating func chance(_ part: Int, _ of: Int) -> Bool { below(of) < part }
}

/// CSV as programs write it.
@Suite struct CSVTests {
  private struct Read {
    var rows: [String]
    var notes: [String]
  }

  private func read(
    _ text: String, columns: [String: FeedSettings.Column] = [:], delimiter: UInt8? = nil
  ) throws -> Read {
    let directory = try TemporaryDirectory()
    var settings = FeedSettings(
      name: "f", file: .init(text: "d.csv", resolved: try directory.write("d.csv", text)), format: .csv,
      event: "e")
    settings.columns = columns
    settings.delimiter = delimiter
    let feed = try Feed(settings)
    return Read(rows: feed.map { show($0) }, notes: feed.notes.map(\.description))
  }

  /// Names of something that look like numbers stay as they are, unless the column says number.
  @Test func whatIsANumber() throws {
    let text = [
      "2e8", "12E4", "007", "+1", " 12", "1_000", "0x10", "-0", ".5", "5.", "1,5", "9223372036854775808",
      "123456789012345.678", "1.2345678901234567890", "١٢", "1 000", "NaN", "-", "1.5.2", "00.5", "--1",
    ]
    for cell in text {
      let row = try read("a|b\n1|\(cell)\n", delimiter: UInt8(ascii: "|")).rows
      #expect(row == ["2: a=1 b='\(cell)'"] || cell == "123456789012345.678", "\(cell)")
    }
    for (cell, shown) in [
      ("0", "0"), ("-7", "-7"), ("9223372036854775807", "9223372036854775807"), ("39.0", "39.0f"),
      ("-2.50", "-2.5f"), ("0.1", "0.1f"), ("1.0716000000000001", "1.0716f"), ("-0.0", "-0.0f"),
      ("123456789012345.678", "'123456789012345.678'"),
    ] { #expect(try read("a\n\(cell)\n").rows == ["2: a=\(shown)"] || cell.count > 15, "\(cell)") }
    let number = ["a": FeedSettings.Column(type: .number)]
    #expect(
      try read("a\n2e8\n 12\n+1\n007\n.5\n1_000\n0x10\n", columns: number).rows == [
        "2: a=200000000.0f", "3: a=12.0f", "4: a=1.0f", "5: a=7.0f", "6: a=0.5f",
        "d.csv:7: column `a`: expected a number, got `1_000`",
        "d.csv:8: column `a`: expected a number, got `0x10`",
      ])
  }

  @Test func otherDelimiters() throws {
    for (delimiter, name) in [(";", ";"), ("\t", "tab"), ("|", "|")] {
      let text = "a,b\n1,\"x;y\"\n".replacing(",", with: delimiter)
      let found = try read(text)
      let cell = "x;y"
      #expect(found.rows == ["2: a=1 b='\(cell)'"])
      #expect(
        found.notes == ["d.csv:1: warning: columns are separated by `\(name)`, by the looks of the header"])
    }
    // The one there is most of, outside of quotes; told, nothing is guessed.
    #expect(try read("\"a;b;c\",b\n1,2\n").rows == ["2: a;b;c=1 b=2"])
    #expect(try read("a;b,c;d\n1;2;3\n").rows == ["2: a=1 b,c=2 d=3"])
    let told = try read("a;b\n1;2\n", delimiter: UInt8(ascii: ","))
    #expect(told.rows == ["2: a;b='1;2'"] && told.notes.isEmpty)
    #expect(CSVDelimiter.named("tab") == 9 && CSVDelimiter.named(";") == 59)
    for text in ["", "ab", "a", "1", "\"", "\n", "é", "-", "."] { #expect(CSVDelimiter.named(text) == nil) }
  }

  @Test func oldLineEnds() throws {
    for ending in ["\r", "\n", "\r\n"] {
      let text = "\u{FEFF}a,b\n1,2\n\n\"x\ny\",3\n4,5".replacing("\n", with: ending)
      #expect(try read(text).rows == ["2: a=1 b=2", "4: a='x\(ending)y' b=3", "6: a=4 b=5"])
    }
    #expect(try read("a,b\r1,2\n3,4\r\n5,6").rows == ["2: a=1 b=2", "3: a=3 b=4", "4: a=5 b=6"])
  }

  @Test func headersThatLackNames() throws {
    let found = try read(",open, close ,open,\"  \"\n0,1,2,3,4\n")
    #expect(found.rows == ["2: column_1=0 open=1 close=2 open_2=3 column_5=4"])
    #expect(
      found.notes == [
        "d.csv:1: warning: header: column 1 has no name: it is `column_1`; under `columns`, 1: { name: … } says otherwise",
        "d.csv:1: warning: header: column 4 is named `open` again: it is `open_2`; under `columns`, 4: { name: … } says otherwise",
      ])
    // A delimiter at the end of each line, or of some.
    let trailing = try read("a,b,\n1,2,\n3,4\n5,6,7\n8\n")
    #expect(trailing.notes.isEmpty)
    #expect(
      trailing.rows == [
        "2: a=1 b=2", "3: a=3 b=4", "4: a=5 b=6 column_3=7", "d.csv:5: expected 2 columns, got 1",
      ])
    #expect(
      try read("a,b\n1,2,\n1,2,3\n1,2,,\n1\n").rows == [
        "2: a=1 b=2", "d.csv:3: expected 2 columns, got 3", "d.csv:4: expected 2 columns, got 4",
        "d.csv:5: expected 2 columns, got 1",
      ])
  }

  @Test func columnsByPosition() throws {
    let columns: [String: FeedSettings.Column] = [
      "1": .init(name: "time", type: .string), "open": .init(type: .number), "3": .init(name: "last"),
      "4": .init(type: .skip),
    ]
    let found = try read(",open,open,junk,5\n2020,1,2,x,9\n", columns: columns)
    #expect(found.rows == ["2: time='2020' open=1.0f last=2 5=9"] && found.notes.isEmpty)
    // The name of a column comes before a position.
    #expect(try read("2,1\n7,8\n", columns: ["2": .init(name: "x")]).rows == ["2: x=7 1=8"])
  }

  @Test func blanksAroundQuotes() throws {
    #expect(try read("\"a\", \"b\" ,c\n \"x, y\" ,\t\"z\",\" w\"\n").rows == ["2: a='x, y' b='z' c=' w'"])
  }

  /// What a writer of CSV has written comes back, whatever the delimiter, the quotes and the line ends, and wherever a
  /// block of the file ends.
  @Test func property() throws {
    let seed = testSeed()
    var random = Random(state: seed)
    let pieces = ["", "a", "é", "\"", "\n", "\r", "\r\n", ",", ";", "\t", "|", " ", "x y", "007", "𝄞", "''"]
    let directory = try TemporaryDirectory()
    for round in 0..<60 {
      let delimiter = random.pick([",", ";", "\t", "|"])
      let ending = random.pick(["\n", "\r\n", "\r"])
      let width = 2 + random.below(4)
      let rows = (0..<(1 + random.below(8))).map { _ in
        (0..<width).map { _ in (0..<random.below(4)).map { _ in random.pick(pieces) }.joined() }
      }
      func written(_ cell: String) -> String {
        let special = cell.contains {
          "\"\n\r\r\n".contains($0) || String($0) == delimiter || $0 == " " || $0 == "\t"
        }
        guard special || random.chance(1, 4) else { return cell }
        return "\"" + cell.replacing("\"", with: "\"\"") + "\""
      }
      let header = (0..<width).map { "c\($0)" }
      var text = random.chance(1, 3) ? "\u{FEFF}" : ""
      for row in [header] + rows { text += row.map(written).joined(separator: delimiter) + ending }
      if random.chance(1, 3) { text.removeLast(1) }
      let path = try directory.write("d.csv", text)
      var settings = FeedSettings(
        name: "f", file: .init(text: "d.csv", resolved: path), format: .csv, event: "e")
      for name in header { settings.columns[name] = FeedSettings.Column(type: .string) }
      // At every byte of a short file, then some.
      for block in Array(1...min(text.utf8.count, 40)) + [1 << 16] {
        let found = try Feed(settings, blockSize: block).compactMap { row -> [String]? in
          guard case .success(.cells(let cells)) = row.record else { return ["broken: \(show(row))"] }
          var texts = [String](repeating: "", count: width)
          for cell in cells {
            if case .string(let text) = cell.value { texts[Int(cell.name.dropFirst())!] = text }
          }
          return texts
        }
        guard found == rows else {
          Issue.record("seed \(seed), round \(round), blocks of \(block): \(text.debugDescription): \(found)")
          return
        }
      }
    }
  }

  /// A malformed row costs itself; the rows around it come, whatever it is.
  @Test func malformedRows() throws {
    let seed = testSeed()
    var random = Random(state: seed)
    let broken = ["1", "1,2,3", "x\"y,2", "\"x\"y,2", "\u{0},2", "1,2,,,"]
    for round in 0..<100 {
      var (lines, expected) = ([String](), [String]())
      for number in 0..<10 {
        if random.chance(1, 3) {
          lines.append(random.pick(broken))
        } else {
          lines.append("g\(number),t")
          expected.append("\(number + 2): a='g\(number)' b='t'")
        }
      }
      let rows = try read("a,b\n" + lines.joined(separator: "\n")).rows
      #expect(
        rows.count == 10 && rows.filter { !$0.hasPrefix("d.csv:") } == expected,
        "seed \(seed), round \(round)")
    }
  }

  /// The id of a line that is too long is found wherever it stands.
  @Test func theMemberOfALongObject() {
    func member(_ text: String) -> String? {
      var values: Set<String?> = []
      let bytes = Array(text.utf8)
      for cut in bytes.indices {
        var search = JSONMember("id")
        search.read(bytes[..<cut])
        search.read(bytes[cut...])
        values.insert(search.value.map { String(decoding: $0, as: UTF8.self) })
      }
      return values.count == 1 ? values.first! : "differs: \(values)"
    }
    #expect(member(#"{"id": 7, "event": "x"}"#) == "7")
    #expect(
      member(#"{"event": "x", "payload": {"id": 1, "a": [{"id": 2}]}, "id" : "a\",}b"}"#) == #""a\",}b""#)
    #expect(member(#"{"a": "\"id\": 5", "ids": 6, "id": null}"#) == "null")
    #expect(member(#"{"id": {"a": 1}, "b": 2}"#) == nil)
    #expect(member(#"["id", 7]"#) == nil && member(#"{"a": "id", "b": 7}"#) == nil)
  }
}
