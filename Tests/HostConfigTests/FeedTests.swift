import Foundation
import Testing
import TriggerCore

import HostConfig

@Suite struct FeedTests {
  /// The rows of a feed as text, read from a real file named `data.csv` (or as said).
  private func rows(
    _ bytes: [UInt8], name: String = "data.csv", columns: [String: FeedSettings.Column] = [:]
  ) throws -> [String] {
    let directory = try TemporaryDirectory()
    let path = try directory.write(name, bytes)
    let format: FeedSettings.Format = name.hasSuffix(".csv") ? .csv : .jsonl
    var settings = FeedSettings(
      name: "f", file: .init(text: name, resolved: path), format: format, event: "e")
    settings.columns = columns
    return try Feed(settings).map { show($0) }
  }

  private func rows(_ text: String, columns: [String: FeedSettings.Column] = [:]) throws -> [String] {
    try rows(Array(text.utf8), columns: columns)
  }

  @Test func cellsAreTypedByTheirLooks() throws {
    let header = "a,b,c,d,e,f,g,h\n"
    #expect(
      try rows(header + "1,-2.5,x,1e3,007,9223372036854775808, 5 ,\n")
        == ["2: a=1 b=-2.5f c='x' d='1e3' e='007' f='9223372036854775808' g=' 5 '"])
    #expect(
      try rows(header + "1.0,inf,nan,0x10,1e999,true,-,.5\n")
        == ["2: a=1.0f b='inf' c='nan' d='0x10' e='1e999' f='true' g='-' h='.5'"])
  }

  @Test func columnsMaySayMore() throws {
    let columns: [String: FeedSettings.Column] = [
      "a": .init(name: "id", type: .string), "b": .init(type: .integer), "c": .init(type: .number),
      "d": .init(type: .boolean), "e": .init(type: .skip),
    ]
    let text = "a,b,c,d,e\n1,2,3,true,x\n1,2.5,3,true,x\n1,2,three,true,x\n1,,3,maybe,x\n1,,3,,x\n"
    #expect(
      try rows(text, columns: columns) == [
        "2: id='1' b=2 c=3.0f d=true",
        "data.csv:3: column `b`: expected an integer, got `2.5`",
        "data.csv:4: column `c`: expected a number, got `three`",
        "data.csv:5: column `d`: expected true or false, got `maybe`",
        "6: id='1' c=3.0f",
      ])
  }

  @Test func quotesAfterRFC4180() throws {
    #expect(
      try rows("a,b\n\"x,y\",\"say \"\"hi\"\"\"\n\"two\nlines\",2\n\"\",3\n") == [
        "2: a='x,y' b='say \"hi\"'", "3: a='two\nlines' b=2", "5: b=3",
      ])
  }

  @Test func carriageReturnsAndAMissingLastLineEnd() throws {
    #expect(
      try rows("\u{FEFF}a,b\r\n1,2\r\n\r\n\"3\",\"4\"\r\n5,") == ["2: a=1 b=2", "4: a=3 b=4", "5: a=5"])
  }

  @Test func aBadRowCostsOnlyItself() throws {
    #expect(
      try rows("a,b\n1\n1,2,3\nx\"y,2\n\"x\"y,2\n\"open,2\n7,8\n") == [
        "data.csv:2: expected 2 columns, got 1",
        "data.csv:3: expected 2 columns, got 3",
        "data.csv:4: a quote inside a field that is not quoted (field 1); write `\"…\"\"…\"`",
        "data.csv:5: text after the closing quote of field 1",
        "data.csv:6: a quote is opened and never closed",
        "7: a=7 b=8",
      ])
    #expect(
      try rows(Array("a\n".utf8) + [0xFF, 0x0A] + Array("ok\n".utf8))
        == ["data.csv:2: column 1: not UTF-8 text: 0xff at byte 1 of it", "3: a='ok'"])
  }

  @Test func rowsAreBounded() throws {
    let long = String(repeating: "x", count: Feed.rowLimit + 1)
    let fits = String(repeating: "y", count: Feed.rowLimit)
    let result = try rows("a\n\(long)\n\(fits)\n3\n")
    #expect(result.count == 3)
    #expect(result[0] == "data.csv:2: longer than 1 MiB")
    #expect(result[1] == "3: a='\(fits)'")
    #expect(result[2] == "4: a=3")

    // An open quote looks ahead no further than a row's limit.
    let many = (1...1000).map { "row\($0)" + String(repeating: "x", count: 2000) + "\n" }.joined()
    let after = try rows("a\n\"open\n" + many)
    #expect(after.count == 1001)
    #expect(after[0] == "data.csv:2: a quote is opened and never closed")
    #expect(after[1].hasPrefix("3: a='row1x"))
    #expect(after[1000].hasPrefix("1002: a='row1000x"))
  }

  @Test func headersAreChecked() throws {
    func fault(_ text: String, columns: [String: FeedSettings.Column] = [:]) -> String? {
      #expect(throws: ConfigProblem.self) { _ = try rows(text, columns: columns) }?.description
    }
    #expect(fault("") == "data.csv:1: expected a header line with the columns' names")
    #expect(fault(" ,\n") == "data.csv:1: expected a header line with the columns' names")
    #expect(
      fault("a,b\n", columns: ["a": .init(name: "b")])
        == "data.csv:1: header: two columns would be called `b`; name one of them under `columns`")
    #expect(fault("a,b\n", columns: ["3": .init()]) == "data.csv:1: header: no column 3: there are 2")
    #expect(
      fault("a,b\n", columns: ["a": .init(), "1": .init()])
        == "data.csv:1: header: `columns` names column 1 twice, as `a` and by its position")
    #expect(
      fault("close\n", columns: ["clsoe": .init()])
        == "data.csv:1: header: no column `clsoe`; did you mean 'close'?")
  }

  @Test func aMissingFileIsAProblem() {
    let settings = FeedSettings(
      name: "f", file: .init(text: "x.csv", resolved: "/nowhere/x.csv"), format: .csv, event: "e")
    let problem = #expect(throws: ConfigProblem.self) { _ = try Feed(settings) }
    #expect(problem?.description == "x.csv: cannot be read: no such file or directory")
  }

  @Test func linesOfJSONStayAsTheyAre() throws {
    let bytes = Array("{\"a\": 1.0}\r\n\n{\"b\":2}\n".utf8) + [0xC3, 0x0A] + Array("{}".utf8)
    #expect(
      try rows(bytes, name: "data.jsonl")
        == ["1: {\"a\": 1.0}", "3: {\"b\":2}", "data.jsonl:4: not UTF-8 text: 0xc3 at byte 1", "5: {}"])
  }

  @Test func realBars() throws {
    let config = HostConfig.load(path: "\(root)/examples/market/host.yaml").config
    let all = try Feed(#require(config.feeds.first)).map { show($0) }
    #expect(all.count == 5000)
    let first = "2: time='2017-04-19T09:00:00Z' open=1.0716f high=1.0722f low=1.07083f close=1.07219f"
    #expect(all[0] == first + " volume=1413")
    #expect(all[4999].hasPrefix("5001: time='2018-02-07T"))
  }
}
