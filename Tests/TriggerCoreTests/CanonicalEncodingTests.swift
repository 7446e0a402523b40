import Testing

import TriggerCore

@Suite struct CanonicalEncodingTests {
  /// RFC 8949, appendix A, as far as values have a form here.
  static let vectors: [(String, Value)] = [
    ("00", 0), ("01", 1), ("0a", 10), ("17", 23), ("1818", 24), ("1819", 25), ("1864", 100),
    ("1903e8", 1000), ("1a000f4240", 1_000_000), ("1b000000e8d4a51000", 1_000_000_000_000),
    ("20", -1), ("29", -10), ("3863", -100), ("3903e7", -1000),
    ("f90000", 0.0), ("f98000", .double(-0.0)), ("f93c00", 1.0), ("fb3ff199999999999a", 1.1),
    ("f93e00", 1.5), ("f97bff", 65504.0), ("fa47c35000", 100000.0),
    ("fa7f7fffff", 3.4028234663852886e+38), ("fb7e37e43c8800759c", 1.0e+300),
    ("f90001", 5.960464477539063e-8), ("f90400", 0.00006103515625), ("f9c400", -4.0),
    ("fbc010666666666666", -4.1), ("f97c00", .double(.infinity)), ("f97e00", .double(.nan)),
    ("f9fc00", .double(-.infinity)), ("f4", false), ("f5", true), ("f6", .null),
    ("40", .bytes([])), ("4401020304", .bytes([1, 2, 3, 4])), ("60", ""), ("6161", "a"),
    ("6449455446", "IETF"), ("62225c", "\"\\"), ("62c3bc", "\u{fc}"), ("63e6b0b4", "\u{6c34}"),
    ("64f0908591", "\u{10151}"), ("80", []), ("83010203", [1, 2, 3]),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    (
      "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
      .array((1...25).map { .int($0) })
    ),
    ("a0", [:]), ("a26161016162820203", ["a": 1, "b": [2, 3]]), ("826161a161626163", ["a", ["b": "c"]]),
    (
      "a56161614161626142616361436164614461656145",
      ["a": "A", "b": "B", "c": "C", "d": "D", "e": "E"]
    ),
    // Edges beyond the appendix.
    ("1b7fffffffffffffff", .int(.max)), ("3b7fffffffffffffff", .int(.min)), ("18ff", 255), ("190100", 256),
    ("19ffff", 65535), ("1a00010000", 65536), ("1affffffff", 4_294_967_295),
    ("1b0000000100000000", 4_294_967_296),
    ("fa33000000", .double(0x1p-25)), ("fb0000000000000001", .double(.leastNonzeroMagnitude)),
    ("fa00000001", .double(0x1p-149)),
    ("f903ff", .double(1023 * 0x1p-24)), ("fa477fe100", 65505.0),
    // Shorter keys first, then bytes.
    ("a3617a016261610262626203", ["z": 1, "aa": 2, "bb": 3]),
  ]

  @Test func vectorsBothWays() throws {
    for (text, value) in Self.vectors {
      #expect(CanonicalEncoding.encode(value) == hex(text), "\(value)")
      #expect(try CanonicalEncoding.decode(hex(text)) == value, "\(text)")
    }
  }

  @Test func encodesIntoABuffer() {
    var output: [UInt8] = [9]
    CanonicalEncoding.encode("a", into: &output)
    #expect(output == [9, 0x61, 0x61])
  }

  /// Code, offset and input of what is refused.
  static let refusals: [(ValueError.Code, Int, String)] = [
    (.badEncoding, 0, ""), (.badEncoding, 0, "18"), (.badEncoding, 0, "1b00"), (.badEncoding, 0, "6261"),
    (.badEncoding, 0, "9bffffffffffffffff"), (.badEncoding, 0, "7bffffffffffffffff"),
    (.badEncoding, 0, "bb7fffffffffffffff"), (.badEncoding, 0, "81"), (.badEncoding, 1, "0000"),
    (.notCanonical, 0, "1817"), (.notCanonical, 0, "190018"), (.notCanonical, 1, "811900ff"),
    (.notCanonical, 0, "1a0000ffff"), (.notCanonical, 0, "1b00000000ffffffff"), (.notCanonical, 0, "580101"),
    (.notCanonical, 0, "fa3f800000"), (.notCanonical, 0, "fb3ff0000000000000"), (.notCanonical, 0, "f97e01"),
    (.notCanonical, 0, "f9fe00"), (.notCanonical, 0, "fa7fc00000"), (.notCanonical, 0, "fb7ff8000000000000"),
    (.notCanonical, 4, "a2616201616102"), (.notCanonical, 5, "a262616101616202"),
    (.duplicateKey, 4, "a2616101616102"), (.badEncoding, 1, "a10102"), (.badEncoding, 0, "c000"),
    (.badEncoding, 0, "9fff"), (.badEncoding, 0, "5fff"), (.badEncoding, 0, "bfff"), (.badEncoding, 0, "ff"),
    (.badEncoding, 0, "f7"), (.badEncoding, 0, "f0"), (.badEncoding, 0, "f820"), (.badEncoding, 0, "1c"),
    (.badUTF8, 1, "8162c328"), (.badUTF8, 0, "63eda080"), (.badUTF8, 0, "62c080"),
    (.numberRange, 0, "1b8000000000000000"), (.numberRange, 0, "3b8000000000000000"),
    (.numberRange, 1, "811bffffffffffffffff"),
  ]

  @Test func refusesWithCodeAndOffset() throws {
    for (code, offset, text) in Self.refusals {
      let error = #expect(throws: ValueError.self, "\(text)") { try CanonicalEncoding.decode(hex(text)) }
      #expect(error?.code == code, "\(text): \(error?.message ?? "")")
      #expect(error?.message.hasPrefix("byte \(error?.offset ?? -1): ") == true)
      #expect(error?.offset == offset, "\(text)")
    }
  }

  @Test func depthIsLimited() throws {
    #expect(try CanonicalEncoding.decode(CanonicalEncoding.encode(nested(64))) == nested(64))
    let error = #expect(throws: ValueError.self) {
      try CanonicalEncoding.decode(CanonicalEncoding.encode(nested(65)))
    }
    #expect(error?.code == .tooDeep)
    #expect(error?.offset == 64)
    #expect(throws: ValueError.self) {
      try CanonicalEncoding.decode(Array(repeating: 0x81, count: 1_000_000))
    }
    #expect(try CanonicalEncoding.decode([0x01], depth: 0) == 1)
  }

  @Test func everyHalfFloatKeepsItsBits() throws {
    for bits in UInt16.min...UInt16.max where bits & 0x7fff <= 0x7c00 {
      let encoding: [UInt8] = [0xf9, UInt8(bits >> 8), UInt8(bits & 0xff)]
      let value = try CanonicalEncoding.decode(encoding)
      try #require(CanonicalEncoding.encode(value) == encoding, "half \(bits)")
    }
  }
}
