import HTTPTypes

/// A request or a connection that is not served: the answer to it, and what the host notes of it.
public struct Refusal: Error, Hashable, Sendable {
  /// Why, for the host's log and counts: finer than what the caller gets to know. The words are stable.
  public enum Cause: String, Hashable, Sendable, CaseIterable {
    /// Nothing says who that is.
    case noCredentials = "no_credentials"
    /// `Authorization` has another form than `Bearer TOKEN`, or is there twice.
    case badAuthorization = "bad_authorization"
    /// What was shown is no token, or one that was mistyped.
    case malformedToken = "malformed_token"
    /// No token has this secret.
    case unknownToken = "unknown_token"
    /// The token's time is over.
    case expiredToken = "expired_token"
    /// The token was taken back.
    case revokedToken = "revoked_token"
    /// The cookie is not of this host, or its time is over.
    case badCookie = "bad_cookie"
    /// The caller is known, and may not.
    case forbidden = "forbidden"
    /// `Host` is missing or names no host.
    case badHost = "bad_host"
    /// `Host` names another host: a page may have taken a name of its own for this address (DNS rebinding).
    case foreignHost = "foreign_host"
    /// A page of another origin sends it.
    case foreignOrigin = "foreign_origin"
    /// A proxy sends it, and the host takes everybody on this machine for its owner.
    case proxied = "proxied"
    /// The token has sent too much within a short time.
    case tokenRate = "token_rate"
    /// The address has sent too much within a short time.
    case addressRate = "address_rate"
    /// The address has too many connections.
    case addressConnections = "address_connections"
    /// The host has too many connections.
    case connections = "connections"
    /// The host has too many sessions: a WebSocket is closed with 1013.
    case sessions = "sessions"
    /// The head of the request is too long or has too many fields.
    case headerTooLarge = "header_too_large"
  }

  /// Why.
  public let cause: Cause
  /// What was wrong, and what would be right: for the caller, without anything that the caller must not know.
  public let detail: String
  /// After this many seconds the same may be served; nil: waiting does not help.
  public let retryAfter: Int?

  init(_ cause: Cause, _ detail: String, retryAfter: Int? = nil) {
    self.cause = cause
    self.detail = detail
    self.retryAfter = retryAfter
  }

  /// A short stable word for the caller. Whoever shows nothing that counts gets the same one, whatever was wrong with it.
  public var code: String { isUnauthorized ? "unauthorized" : cause.rawValue }

  private var isUnauthorized: Bool { status == .unauthorized }

  /// The status of the answer.
  public var status: HTTPResponse.Status {
    switch cause {
    case .noCredentials, .badAuthorization, .malformedToken, .unknownToken, .expiredToken,
      .revokedToken,
      .badCookie:
      .unauthorized
    case .forbidden, .foreignOrigin, .proxied: .forbidden
    case .badHost: .badRequest
    case .foreignHost: .misdirectedRequest
    case .tokenRate, .addressRate, .addressConnections: .tooManyRequests
    case .connections, .sessions: .serviceUnavailable
    case .headerTooLarge: .requestHeaderFieldsTooLarge
    }
  }

  /// The fields that belong to the answer beside those of a problem document.
  public var fields: HTTPFields {
    var fields = HTTPFields()
    // RFC 6750, section 3: nothing but the scheme, so that nothing is said about what was shown.
    if isUnauthorized { fields[.wwwAuthenticate] = "Bearer" }
    if let retryAfter { fields[.retryAfter] = "\(retryAfter)" }
    return fields
  }

  /// Whether the connection must end: what comes on it next cannot be told from what was refused.
  public var endsConnection: Bool {
    switch cause {
    case .headerTooLarge, .addressConnections, .connections: true
    default: false
    }
  }

  static func unauthorized(_ cause: Cause) -> Refusal {
    Refusal(
      cause,
      "This host needs a token: Authorization: Bearer TOKEN. trigger-host token create makes one.")
  }
}
