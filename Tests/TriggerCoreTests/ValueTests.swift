import Testing
import TriggerCore

@Suite struct ValueTests {
  @Test func integersAndFloatsDiffer() {
    #expect(Value.int(1) != .double(1))
    #expect(Value.double(0) != .double(-0.0))
    #expect(Value.double(.nan) == .double(-.nan))
    #expect(Set<Value>([.double(.nan), .double(.signalingNaN), 1, 1.0]).count == 3)
  }

  @Test func stringsCompareByBytes() throws {
    let (one, two) = ("\u{e9}", "e\u{301}")
    #expect(one == two, "Swift's own equality")
    #expect(Value.string(one) != .string(two))
    #expect(Value.map([one: 1]) != .map([two: 1]))
    let both: Value = [one: 1, two: 2]
    #expect(both[one] == 1 && both[two] == 2)
    #expect(try CanonicalEncoding.decode(CanonicalEncoding.encode(both)) == both)
    #expect(try JSON.parse(JSON.text(both)) == both)
    #expect(Value.string("a") != .bytes([97]))
  }

  @Test func emptyArrayIsNotEmptyMap() {
    #expect(Value.array([]) != .map([:]))
    #expect(CanonicalEncoding.encode([]) == [0x80])
    #expect(CanonicalEncoding.encode([:]) == [0xa0])
  }

  @Test func literalsAndAccess() {
    let name = "Ada"
    let value: Value = ["items": [1, 2.5, true, .null], "name": "\(name)"]
    #expect(value["items"]?[1]?.doubleValue == 2.5)
    #expect(value["items"]?[0]?.intValue == 1)
    #expect(value["items"]?[0]?.doubleValue == nil)
    #expect(value["items"]?[0]?.number == 1)
    #expect(value["items"]?[3]?.isNull == true)
    #expect(value["items"]?[4] == nil)
    #expect(value["items"]?[-1] == nil)
    #expect(value["name"]?.stringValue == "Ada")
    #expect(value["none"] == nil)
    #expect(value["items"]?["name"] == nil)
  }

  @Test func descriptionIsLikeJSON() {
    let value: Value = [
      "b": [1, 1.0, "x\"y"], "a": .bytes([0, 255]), "aa": .double(.nan), "c": .double(-.infinity),
    ]
    #expect(value.description == #"{"a":h'00ff',"aa":NaN,"b":[1,1.0,"x\"y"],"c":-Infinity}"#)
  }

  @Test func limitsNameThePath() throws {
    #expect(try nested(64).validate() == 65)
    let deep: Value = ["a b": [1, ["x": nested(62)]]]
    let error = #expect(throws: ValueError.self) { try deep.validate() }
    #expect(error?.code == .tooDeep)
    #expect(error?.path == #"$["a b"][1].x"# + String(repeating: "[0]", count: 61))
    #expect(error?.message == "nested deeper than 64 levels")
  }

  @Test func theInnermostTooLargeValueIsNamed() {
    let value: Value = ["small": 1, "log": ["ok", .bytes(Array(repeating: 0, count: 100))]]
    let error = #expect(throws: ValueError.self) { try value.validate(ValueLimits(encodedBytes: 64)) }
    #expect(error?.description == "$.log[1]: the value takes 102 bytes encoded, the limit is 64")
    let sum: Value = [.bytes(Array(repeating: 0, count: 20)), .bytes(Array(repeating: 0, count: 20))]
    let whole = #expect(throws: ValueError.self) { try sum.validate(ValueLimits(encodedBytes: 32)) }
    #expect(whole?.path == "$")
  }

  @Test func measuredSizeIsEncodedSize() throws {
    try forSeeds(0..<500) { seed, random in
      let value = random.value()
      try #require(try value.validate() == CanonicalEncoding.encode(value).count, "seed \(seed)")
    }
  }
}
