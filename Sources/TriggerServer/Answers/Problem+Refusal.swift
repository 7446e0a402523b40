import HTTPTypes

extension Problem {
  /// How whoever asks learns of a refusal.
  init(_ refusal: Refusal) {
    let code: Code =
      switch refusal.cause {
      case .noCredentials, .badAuthorization, .malformedToken, .unknownToken, .expiredToken,
        .revokedToken,
        .badCookie:
        .unauthorized
      case .forbidden: .forbidden
      case .foreignOrigin: .foreignOrigin
      case .proxied: .proxied
      case .badHost: .badRequest
      case .foreignHost: .misdirected
      case .tokenRate, .addressRate, .addressConnections, .connections, .sessions: .tooManyRequests
      case .headerTooLarge: .headersTooLarge
      }
    var headers = refusal.fields
    if refusal.endsConnection { headers[.connection] = "close" }
    self.init(code, refusal.detail, headers: headers)
  }
}
