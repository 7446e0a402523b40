import Crypto
import Foundation
import TestSupport
import Testing
import TriggerCore

@testable import TriggerServer

/// The text of tokens, and which of them count.
@Suite struct TokenTests {
  static let now = Timestamp(nanoseconds: 1_800_000_000_000_000_000)
  static func later(_ seconds: Int64) -> Timestamp {
    Timestamp(nanoseconds: now.nanoseconds + seconds * 1_000_000_000)
  }

  @Test func itsTextIsReadBack() throws {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      let made = TokenText(id: TokenID(using: &random))
      #expect(
        try #/thk_[0-9a-hjkmnp-tv-z]{8}_[A-Za-z0-9_-]{47}/#.wholeMatch(in: made.text) != nil, "\(made.text)")
      let read = try #require(TokenText(parsing: made.text))
      #expect(read.id == made.id && read.digest == made.digest)
    }
  }

  /// So that the log can tell a slip from an attack.
  @Test func everyMistypedCharacterIsFound() throws {
    let text = TokenText(id: try #require(TokenID("00000000"))).text
    for index in text.indices {
      for other in "aA0_-=é" where text[index] != other {
        var wrong = text
        wrong.replaceSubrange(index...index, with: String(other))
        #expect(TokenText(parsing: wrong) == nil, "\(wrong)")
      }
    }
    for wrong in [
      "", "thk_", String(text.dropLast()), text + "a", " " + text, text + "\n", text.uppercased(),
    ] {
      #expect(TokenText(parsing: wrong) == nil, "\(wrong)")
    }
  }

  @Test func idsAreEightPlainCharacters() {
    #expect(TokenID("3v9kq0rm") != nil)
    for wrong in ["", "3v9kq0r", "3v9kq0rmm", "3V9KQ0RM", "3v9kq0ri", "3v9kq0r-", "../../..", "3v9kq0é"] {
      #expect(TokenID(wrong) == nil, "\(wrong)")
    }
  }

  @Test func whatCounts() throws {
    var table = TokenTable()
    let good = table.create(name: "a", scopes: [.read], expires: nil, now: Self.now)
    let short = table.create(name: nil, scopes: [.admin], expires: Self.later(10), now: Self.now)
    let gone = table.create(name: "c", scopes: [.admin], expires: Self.later(10), now: Self.now)
    let revoked = try table.revoke(gone.token.id, now: Self.later(1))
    #expect(revoked.revoked == Self.later(1))
    #expect(try table.revoke(gone.token.id, now: Self.later(5)).revoked == Self.later(1))
    #expect(short.token.name == short.token.id.description)

    #expect(table.check(good.text.text, at: Self.now) == .good(good.token))
    #expect(table.check(short.text.text, at: Self.later(9)) == .good(short.token))
    #expect(table.check(short.text.text, at: Self.later(10)) == .expired(short.token.id))
    #expect(table.check(gone.text.text, at: Self.now) == .revoked(gone.token.id))
    #expect(table.check("thk_", at: Self.now) == .malformed)
    // Another secret under a known id, and an id that nobody has.
    #expect(table.check(TokenText(id: good.token.id).text, at: Self.now) == .unknown)
    #expect(TokenTable().check(good.text.text, at: Self.now) == .unknown)
    // Who has no secret gets to know nothing of a token.
    #expect(table.check(TokenText(id: gone.token.id).text, at: Self.now) == .unknown)
    let nobody = try #require(TokenID("zzzzzzzz"))
    #expect(throws: AccessError.self) { try table.revoke(nobody, now: Self.now) }
  }

  @Test func noSecretIsKept() throws {
    var table = TokenTable()
    let (token, text) = table.create(
      name: "a\"\u{1F}b", scopes: [.read, .admin], expires: Self.later(1), now: Self.now)
    let json = String(decoding: table.json, as: UTF8.self)
    let secret = text.text.dropFirst(13).prefix(43)
    #expect(!json.contains(secret) && !json.contains(text.text))
    #expect(json.contains(hexadecimal(SHA256.hash(data: Data(secret.utf8)))))
    #expect(try TokenTable(json: table.json) == table)
    #expect(table.sorted == [token])
  }

  @Test(arguments: [
    ("", "expected"), ("{}", "format: expected 1, got nothing"),
    (#"{"format": 2, "tokens": []}"#, "format: expected 1, got 2"),
    (#"{"format": 1}"#, "tokens: expected an array"),
    (#"{"format": 1, "tokens": [1]}"#, "tokens[0].expected an object"),
    (#"{"format": 1, "tokens": [{"id": "x"}]}"#, "tokens[0].id: expected 8 characters"),
    (entry(#""extra": 1"#), "tokens[0].extra: unknown key"),
    (entry(#""expires": 5"#), "tokens[0].expires: expected a time, got 5"),
    (entry(#""expires": "soon""#), "tokens[0].expires: expected a time like"),
    (entry(#""revoked": null"#), "tokens[0].revoked: expected a time, got null"),
    (entry("").replacing("00ff", with: "0ff"), "tokens[0].sha256: expected 32 bytes"),
    (entry("").replacing("00ff", with: "00fg"), "tokens[0].sha256: expected 32 bytes"),
    (entry("").replacing("\"read\"", with: "\"reed\""), "tokens[0].scopes: the scope `reed` is not known"),
    (entry("").replacing("\"read\"", with: "7"), "tokens[0].scopes: expected text, got 7"),
    (entry("", twice: true), "tokens[1].the id `3v9kq0rm` is given twice"),
  ])
  func aFileThatIsNotUnderstoodIsRefused(_ json: String, _ message: String) {
    #expect(performing: { try TokenTable(json: Array(json.utf8)) }, throws: { "\($0)".contains(message) })
  }

  static func entry(_ more: String, twice: Bool = false) -> String {
    let entry =
      #"{"id": "3v9kq0rm", "name": "a", "scopes": ["read"], "created": "2026-07-01T08:00:00Z", "sha256": "\#(String(repeating: "00ff", count: 16))"\#(more.isEmpty ? "" : ", " + more)}"#
    return #"{"format": 1, "tokens": [\#(entry)\#(twice ? ", " + entry : "")]}"#
  }

  /// Whatever is in the file, reading it ends with tokens or a message.
  @Test func damagedFilesNeverCrash() throws {
    let seed = testSeed()
    var random = Xorshift(seed)
    var table = TokenTable()
    for _ in 0..<5 { _ = table.create(name: nil, scopes: [.read], expires: Self.later(5), now: Self.now) }
    let whole = table.json
    for _ in 0..<2_000 {
      var bytes = whole
      for _ in 0...random.next(upperBound: 3 as UInt) {
        bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
      guard let read = try? TokenTable(json: bytes) else { continue }
      // What is read is kept as it is.
      #expect(try TokenTable(json: read.json) == read, "SEED=\(seed)")
    }
  }
}

/// A generator that a seed determines (Marsaglia, "Xorshift RNGs", 2003).
struct Xorshift: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed | 1 }
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state &* 0x2545_F491_4F6C_DD1D
  }
}
