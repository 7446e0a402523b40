/// Who makes a request, and what is permitted to whom.
public struct Caller: Hashable, Sendable {
  /// How it is known who that is.
  public enum Kind: Hashable, Sendable {
    /// On this machine, while no token exists.
    case local
    /// Anybody: the host was started with `--insecure`.
    case anybody
    /// By a token.
    case token(TokenID)
    /// By the cookie of a page, which was given for a token.
    case page(TokenID)
  }

  /// How it is known who that is.
  public let kind: Kind
  /// For people: the token's name, `local` or `anybody`.
  public let name: String
  /// What is permitted.
  public let scopes: [Scope]

  /// Whether it may.
  public func permits(_ action: Action) -> Bool { scopes.permits(action) }

  /// The token behind it, if there is one.
  public var token: TokenID? {
    switch kind {
    case .token(let id), .page(let id): id
    case .local, .anybody: nil
    }
  }

  /// The same for all requests of one caller, and for nobody else: what the keys of senders belong to.
  public var identity: String { token?.description ?? name }

  /// Nobody yet, who may do nothing.
  static let nobody = Caller(kind: .anybody, name: "", scopes: [])
  static let local = Caller(kind: .local, name: "local", scopes: [.admin])
  static let anybody = Caller(kind: .anybody, name: "anybody", scopes: [.admin])
  static func token(_ token: Token) -> Caller {
    Caller(kind: .token(token.id), name: token.name, scopes: token.scopes)
  }
  static func page(_ token: Token) -> Caller {
    Caller(kind: .page(token.id), name: token.name, scopes: token.scopes)
  }
}
