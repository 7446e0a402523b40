import Crypto
import TriggerCore

/// What is known of a token: everything but its secret.
public struct Token: Hashable, Sendable {
  /// Its public name.
  public let id: TokenID
  /// What its owner called it; `id` when nothing.
  public let name: String
  /// What it permits.
  public let scopes: [Scope]
  /// When it was made.
  public let created: Timestamp
  /// From then on it permits nothing; nil: never.
  public let expires: Timestamp?
  /// Since when it permits nothing; nil: it was not revoked.
  public internal(set) var revoked: Timestamp?
  /// SHA-256 of its secret.
  let digest: [UInt8]

  /// Whether it permits anything at that time.
  public func state(at now: Timestamp) -> State {
    if revoked != nil { return .revoked }
    if let expires, now >= expires { return .expired }
    return .good
  }

  /// What has become of a token.
  public enum State: String, Hashable, Sendable {
    /// It counts.
    case good
    /// Its time is over.
    case expired
    /// It was taken back.
    case revoked
  }
}

/// What a text that was shown as a token is. For the log and for counts: outside, all but `good` look alike.
public enum TokenCheck: Hashable, Sendable {
  /// It counts.
  case good(Token)
  /// It is no token at all: another form, or mistyped.
  case malformed
  /// No token has this secret.
  case unknown
  /// The token's time is over.
  case expired(TokenID)
  /// The token was taken back.
  case revoked(TokenID)
}

/// All tokens of a host. A pure value.
struct TokenTable: Hashable, Sendable {
  private(set) var tokens: [TokenID: Token] = [:]

  /// In the order in which they were made.
  var sorted: [Token] {
    tokens.values.sorted { ($0.created, $0.id.description) < ($1.created, $1.id.description) }
  }

  /// - Throws: when a token has the same id.
  mutating func add(_ token: Token) throws(AccessError) {
    guard tokens[token.id] == nil else { throw AccessError("the id `\(token.id)` is given twice") }
    tokens[token.id] = token
  }

  /// A new token, and its text, which nobody can see again.
  mutating func create(
    name: String?, scopes: [Scope], expires: Timestamp?, now: Timestamp
  ) -> (token: Token, text: TokenText) {
    var random = SystemRandomNumberGenerator()
    var id = TokenID(using: &random)
    while tokens[id] != nil { id = TokenID(using: &random) }
    let text = TokenText(id: id)
    let token = Token(
      id: id, name: name ?? id.description, scopes: scopes, created: now, expires: expires, revoked: nil,
      digest: Array(text.digest))
    tokens[id] = token
    return (token, text)
  }

  /// Takes a token back for good. A second time changes nothing.
  ///
  /// - Throws: when no token has this id.
  mutating func revoke(_ id: TokenID, now: Timestamp) throws(AccessError) -> Token {
    guard var token = tokens[id] else {
      throw AccessError("no token has the id `\(id)`; trigger-host token list shows them")
    }
    token.revoked = token.revoked ?? now
    tokens[id] = token
    return token
  }

  /// What `text` is. The time that it takes tells nothing of the secret: the token is found by its public id, and all
  /// bytes of the hashes are compared, also where there is nothing to compare with. O(1)
  func check(_ text: some StringProtocol, at now: Timestamp) -> TokenCheck {
    guard let shown = TokenText(parsing: text) else { return .malformed }
    let token = tokens[shown.id]
    // `==` of a digest with bytes takes the same time wherever they differ (swift-crypto).
    let isSame = shown.digest == (token?.digest ?? Self.nobody)
    guard let token, isSame else { return .unknown }
    return switch token.state(at: now) {
    case .good: .good(token)
    case .expired: .expired(token.id)
    case .revoked: .revoked(token.id)
    }
  }

  private static let nobody = [UInt8](repeating: 0, count: SHA256.byteCount)
}
