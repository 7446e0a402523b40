import Crypto
import Foundation

/// The public name of a token: eight characters that nobody takes for others (`0-9` and `a-z` without i, l, o, u).
///
/// It finds the token and is shown in lists and logs. It permits nothing.
public struct TokenID: Hashable, Sendable, CustomStringConvertible {
  static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
  static let length = 8

  /// The characters.
  public let description: String

  /// Nil when `text` is no such name.
  public init?(_ text: some StringProtocol) {
    guard text.utf8.count == Self.length, text.utf8.allSatisfy(Self.alphabet.contains) else { return nil }
    description = String(text)
  }

  /// A random one: 40 bits. Whoever makes tokens sees to it that no two have the same.
  init(using random: inout some RandomNumberGenerator) {
    let characters = (0..<Self.length).map { _ in Self.alphabet.randomElement(using: &random)! }
    description = String(decoding: characters, as: UTF8.self)
  }
}

/// The text of a token, as only its owner has it: `thk_` ID `_` SECRET CHECK.
///
/// SECRET is 256 random bits in base64url (RFC 4648, section 5), 43 characters. CHECK is the beginning of the SHA-256 of
/// all before it, 24 bits in 4 characters: a mistyped or cut token is told from one that is not known, and scanners for
/// secrets do not take other text for a token (`thk_[0-9a-hjkmnp-tv-z]{8}_[A-Za-z0-9_-]{47}`).
struct TokenText: Sendable {
  static let prefix = "thk_"
  private static let secretLength = 43
  private static let checkLength = 4
  static let length = prefix.utf8.count + TokenID.length + 1 + secretLength + checkLength

  let id: TokenID
  private let secret: [UInt8]

  /// A new one, from the system's generator for keys.
  init(id: TokenID) {
    self.id = id
    secret = SymmetricKey(size: .bits256).withUnsafeBytes { Array(base64URL(Data($0)).utf8) }
  }

  /// Nil when `text` is no token: another form, or a character that was mistyped.
  init?(parsing text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard bytes.count == Self.length, bytes.starts(with: Self.prefix.utf8) else { return nil }
    let idEnd = Self.prefix.utf8.count + TokenID.length
    guard let id = TokenID(String(decoding: bytes[Self.prefix.utf8.count..<idEnd], as: UTF8.self)),
      bytes[idEnd] == UInt8(ascii: "_")
    else { return nil }
    let body = bytes.dropLast(Self.checkLength)
    guard bytes.suffix(Self.checkLength).elementsEqual(Self.check(of: body).utf8) else { return nil }
    self.id = id
    secret = Array(body[(idEnd + 1)...])
  }

  /// What its owner keeps.
  var text: String {
    let body = "\(Self.prefix)\(id)_\(String(decoding: secret, as: UTF8.self))"
    return body + Self.check(of: body.utf8)
  }

  /// What the host keeps: nobody finds 256 random bits from their hash, so one round of SHA-256 is enough.
  var digest: SHA256Digest { SHA256.hash(data: secret) }

  private static func check(of body: some Sequence<UInt8>) -> String {
    base64URL(Data(SHA256.hash(data: Array(body)).prefix(3)))
  }
}

/// Base64 with the alphabet for URLs and without padding (RFC 4648, section 5).
func base64URL(_ data: Data) -> String {
  data.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
}
