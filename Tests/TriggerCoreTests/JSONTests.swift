import Testing
import TriggerCore

@Suite struct JSONTests {
  @Test func numbersKeepTheirKind() throws {
    #expect(try JSON.parse("1") == 1)
    #expect(try JSON.parse("1.0") == 1.0)
    #expect(try JSON.parse("1e2") == 100.0)
    #expect(try JSON.parse("-0") == 0)
    #expect(try JSON.parse("-0.0") == .double(-0.0))
    #expect(try JSON.parse("9223372036854775807") == .int(.max))
    #expect(try JSON.parse("-9223372036854775808") == .int(.min))
    #expect(try JSON.parse("0.1") == 0.1)
    #expect(try JSON.parse("1e-400") == 0.0)
  }

  @Test func stringsAndEscapes() throws {
    #expect(try JSON.parse(#""\ud83d\ude00 \u00e9 \/ \b\f\n\r\t""#) == "😀 é / \u{8}\u{c}\n\r\t")
    #expect(
      try JSON.text("\u{1}\u{1f}\n\u{7f}é\u{2028}\"\\") == "\"\\u0001\\u001f\\n\u{7f}é\u{2028}\\\"\\\\\"")
    #expect(try JSON.parse(#"{"e\u0301":1}"#) == ["e\u{301}": 1])
  }

  @Test func containersAndSpace() throws {
    #expect(try JSON.parse(" { } ") == [:])
    #expect(try JSON.parse("[\t]\r\n") == [])
    #expect(
      try JSON.parse(#"{"a":[1,null,true,false,{"b":""}]}"#) == ["a": [1, .null, true, false, ["b": ""]]])
  }

  static let refusals: [(String, ValueError.Code, String)] = [
    ("", .badJSON, "1:1: expected a value, got the end of the text"),
    ("{\n  \"é\": nul }", .badJSON, "2:8: expected a value, got 'nul'"),
    ("[1 2]", .badJSON, "1:4: expected ',' or ']', got '2'"),
    ("[1,]", .badJSON, "1:4: expected a value, got ']'"),
    (#"{"a" 1}"#, .badJSON, "1:6: expected ':', got '1'"),
    (#"{"a":1 "b":2}"#, .badJSON, "1:8: expected ',' or '}', got '\"'"),
    ("{a:1}", .badJSON, "1:2: expected a key in double quotes, got 'a'"),
    (#"{"a":1,}"#, .badJSON, "1:8: expected a key in double quotes, got '}'"),
    ("NaN", .badJSON, "1:1: expected a value, got 'NaN'"),
    ("nullx", .badJSON, "1:1: expected a value, got 'nullx'"),
    ("1 x", .badJSON, "1:3: expected the end of the text, got 'x'"),
    ("\u{feff}1", .badJSON, "1:1: expected a value, got a byte order mark"),
    ("[\u{1}]", .badJSON, "1:2: expected a value, got the byte 0x01"),
    ("é", .badJSON, "1:1: expected a value, got 'é'"),
    ("01", .badJSON, "1:1: a number starts with a needless 0"),
    ("-", .badJSON, "1:2: expected a digit, got the end of the text"),
    ("1.", .badJSON, "1:3: expected a digit after the point, got the end of the text"),
    ("1e+", .badJSON, "1:4: expected a digit in the exponent, got the end of the text"),
    ("+1", .badJSON, "1:1: expected a value, got '+'"),
    ("\"ab", .badJSON, "1:4: expected the closing '\"' of a string, got the end of the text"),
    ("\"a\nb\"", .badJSON, "1:3: a control character in a string must be escaped"),
    (#""\x""#, .badJSON, #"1:2: expected one of \" \\ \/ \b \f \n \r \t \u"#),
    (#""\u12g4""#, .badJSON, "1:6: expected four hex digits, got 'g4'"),
    (#""\ud800""#, .badUTF8, "1:2: a lone surrogate; characters beyond U+FFFF take a pair"),
    (#""\ud800\u0041""#, .badUTF8, "1:2: a lone surrogate; characters beyond U+FFFF take a pair"),
    (#""\udc00\ud800""#, .badUTF8, "1:2: a lone surrogate; characters beyond U+FFFF take a pair"),
    (#"{"a":1,"\u0061":2}"#, .duplicateKey, "1:8: the key 'a' is already in the map"),
    (
      "9223372036854775808", .numberRange,
      "1:1: the integer does not fit 64 bits; write it as a string or with .0"
    ),
    (
      "[-9223372036854775809]", .numberRange,
      "1:2: the integer does not fit 64 bits; write it as a string or with .0"
    ),
    ("1e400", .numberRange, "1:1: the number is beyond a 64-bit float"),
  ]

  @Test(arguments: refusals) func refusesWithPlace(text: String, code: ValueError.Code, message: String) {
    let error = #expect(throws: ValueError.self) { try JSON.parse(text) }
    #expect(error?.code == code)
    #expect(error?.message == message)
  }

  @Test func badUTF8IsRefused() {
    let error = #expect(throws: ValueError.self) { try JSON.parse([0x22, 0xc3, 0x28, 0x22]) }
    #expect(error?.code == .badUTF8)
    #expect(throws: ValueError.self) { try JSON.parse([0x22, 0xed, 0xa0, 0x80, 0x22]) }
    #expect(throws: ValueError.self) { try JSON.parse([0xff]) }
  }

  @Test func depthIsLimited() throws {
    #expect(try JSON.parse(JSON.text(nested(64))) == nested(64))
    let error = #expect(throws: ValueError.self) { try JSON.parse(JSON.text(nested(65))) }
    #expect(error?.code == .tooDeep)
    #expect(throws: ValueError.self) { try JSON.parse(String(repeating: "[", count: 1_000_000)) }
  }

  @Test func floatsLookLikeFloats() throws {
    let floats: Value = [1, 1.0, .double(-0.0), 0.1, 1e16, 1e300, .double(.leastNonzeroMagnitude)]
    #expect(try JSON.text(floats) == "[1,1.0,-0.0,0.1,1e+16,1e+300,5e-324]")
  }

  @Test func keysAreInByteOrder() throws {
    let text = #"{"Z":5,"a":3,"aa":2,"b":1,"é":4}"#
    #expect(try JSON.text(["b": 1, "aa": 2, "a": 3, "é": 4, "Z": 5]) == text)
  }

  @Test func prettyForm() throws {
    let text = try JSON.text(["a": [1, [:]], "b": [], "c": ["d": .null]], style: .pretty)
    #expect(
      text == """
        {
          "a": [
            1,
            {}
          ],
          "b": [],
          "c": {
            "d": null
          }
        }
        """)
  }

  @Test func whatJSONLacksIsRefusedWithThePath() {
    let value: Value = ["items": [1, 2, 3, ["f": .double(.nan)]]]
    let error = #expect(throws: ValueError.self) { try JSON.text(value) }
    #expect(error?.code == .noJSONForm)
    #expect(error?.description == "$.items[3].f: NaN has no JSON form")
    let bytes = #expect(throws: ValueError.self) { try JSON.text(["a.b": [.bytes([1])]]) }
    #expect(bytes?.description == #"$["a.b"][0]: a byte string has no JSON form"#)
    let infinity = #expect(throws: ValueError.self) { try JSON.text(.double(-.infinity)) }
    #expect(infinity?.description == "$: -Infinity has no JSON form")
  }
}
