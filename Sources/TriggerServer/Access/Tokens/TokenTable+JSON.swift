import Crypto
import TriggerCore

extension TokenTable {
  private static let format: Int64 = 1
  private static let keys: Set = ["id", "name", "scopes", "created", "expires", "revoked", "sha256"]

  /// The text of the file that keeps them: no secret is in it.
  var json: [UInt8] {
    let file: Value = .map(["format": .int(Self.format), "tokens": .array(sorted.map(\.stored))])
    // Strings, integers and nothing else: every such value has a JSON form.
    // Texts and numbers of our own: nothing that JSON cannot say.
    return try! JSON.bytes(file, style: .pretty) + [UInt8(ascii: "\n")]
  }

  /// Reads what `json` wrote, and refuses anything else: a token that is half understood must not count.
  ///
  /// - Throws: `AccessError` with the place in the text.
  init(json: [UInt8]) throws(AccessError) {
    let file: Value
    do throws(ValueError) { file = try JSON.parse(json, depth: 8) } catch { throw AccessError("\(error)") }
    guard file["format"] == .int(Self.format) else {
      throw AccessError("format: expected \(Self.format), got \(file["format"].map { "\($0)" } ?? "nothing")")
    }
    guard let entries = file["tokens"]?.arrayValue else { throw AccessError("tokens: expected an array") }
    for (index, entry) in entries.enumerated() {
      do throws(AccessError) { try add(Token(stored: entry)) } catch {
        throw AccessError("tokens[\(index)].\(error)")
      }
    }
  }

  fileprivate static func unknownKey(_ map: Value.Map) -> String? {
    map.keys.first { !keys.contains($0) }
  }
}

extension Token {
  fileprivate var stored: Value {
    var map: Value.Map = [
      "id": .string(id.description), "name": .string(name), "created": .string("\(created)"),
      "scopes": .array(scopes.map { .string("\($0)") }), "sha256": .string(hexadecimal(digest)),
    ]
    if let expires { map["expires"] = .string("\(expires)") }
    if let revoked { map["revoked"] = .string("\(revoked)") }
    return .map(map)
  }

  fileprivate init(stored: Value) throws(AccessError) {
    guard let map = stored.mapValue else { throw AccessError("expected an object") }
    if let key = TokenTable.unknownKey(map) { throw AccessError("\(key): unknown key") }
    guard let id = map["id"]?.stringValue.flatMap({ TokenID($0) }) else {
      throw AccessError("id: expected \(TokenID.length) characters")
    }
    guard let name = map["name"]?.stringValue else { throw AccessError("name: expected text") }
    guard let digest = map["sha256"]?.stringValue.flatMap(bytes(ofHexadecimal:)),
      digest.count == SHA256.byteCount
    else { throw AccessError("sha256: expected \(SHA256.byteCount) bytes in hexadecimal") }
    guard let created = try Self.time("created", in: map) else {
      throw AccessError("created: expected a time")
    }
    self.init(
      id: id, name: name, scopes: try Self.scopes(in: map), created: created,
      expires: try Self.time("expires", in: map), revoked: try Self.time("revoked", in: map), digest: digest)
  }

  private static func scopes(in map: Value.Map) throws(AccessError) -> [Scope] {
    guard let list = map["scopes"]?.arrayValue else { throw AccessError("scopes: expected an array") }
    var scopes: [Scope] = []
    for item in list {
      guard let text = item.stringValue else { throw AccessError("scopes: expected text, got \(item)") }
      do throws(AccessError) { scopes.append(try Scope(parsing: text)) } catch {
        throw AccessError("scopes: \(error)")
      }
    }
    return scopes
  }

  /// Nil when the key is not there; a key with anything but a time is a mistake.
  private static func time(_ key: String, in map: Value.Map) throws(AccessError) -> Timestamp? {
    guard let value = map[key] else { return nil }
    guard let text = value.stringValue else { throw AccessError("\(key): expected a time, got \(value)") }
    do throws(ValueError) { return try Timestamp(parsing: text) } catch {
      throw AccessError("\(key): \(error)")
    }
  }
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  let digits = Array("0123456789abcdef".utf8)
  return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

/// Nil when the text is anything but pairs of digits.
func bytes(ofHexadecimal text: String) -> [UInt8]? {
  let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue.map(UInt8.init) }
  guard digits.count == text.utf8.count, digits.count.isMultiple(of: 2) else { return nil }
  return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}
