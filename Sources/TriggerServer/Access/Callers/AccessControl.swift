import HTTPTypes
import HostConfig
import TriggerCore
import TriggerHost

/// Decides who comes in and how much of it: asked for every connection and every request. Any thread; blocks nowhere.
public final class AccessControl: Sendable {
  /// Which pages of other origins may use the host with a token of their own.
  public let cors: CORSPolicy
  /// What was refused, by cause.
  public let counts = RefusalCounts()
  /// How much may come in.
  public let limits: ServerLimits
  let rule: StartRule
  /// Nil: there are none.
  private let tokens: TokenStore?
  private let hosts: HostRule
  private let cookies: PageCookies
  private let gate: Gate
  private let tally = ServerTally()
  private let clock: any EngineClock

  /// - Parameter rule: who comes in without a token.
  /// - Parameter settings: names, origins and limits.
  public init(
    _ rule: StartRule, tokens: TokenStore?, settings: AccessSettings = AccessSettings(),
    clock: any EngineClock = SystemClock()
  ) throws(AccessError) {
    self.rule = rule
    self.tokens = tokens
    self.clock = clock
    cors = try CORSPolicy(settings.origins)
    limits = settings.limits
    hosts = HostRule(names: settings.hostNames, isOpen: rule != .tokens)
    cookies = PageCookies(start: clock.monotonic())
    gate = Gate(settings.limits)
  }

  // MARK: Connections

  /// A connection that somebody wants to open. Who gets no refusal says `closed` once it has ended.
  public func opened(from peer: IPAddress?) throws(Refusal) {
    do throws(Refusal) {
      try counted { () throws(Refusal) in try gate.open(peer) }
      tally.noteConnection(isRefused: false)
    } catch {
      tally.noteConnection(isRefused: true)
      throw error
    }
  }

  /// A connection that was let in has ended.
  public func closed(from peer: IPAddress?) { gate.close(peer) }

  // MARK: Requests

  /// Who sends a request that is let in; asked once for each request, and for each WebSocket before its upgrade. What
  /// the caller may do says `check`.
  ///
  /// A preflight is answered with `cors.preflight` before: a browser sends it without a token.
  public func admit(_ request: AccessRequest) throws(Refusal) -> Caller {
    try counted { () throws(Refusal) in
      try HeaderRule(limits).check(request)
      let now = clock.monotonic()
      // First of all, so that what somebody sends in floods costs least.
      try gate.spend(from: request.peer, at: now)
      try hosts.check(request.host)
      let caller = try caller(of: request, at: now)
      try checkOrigin(of: request, caller)
      if let token = caller.token { try gate.spend(of: token, at: now) }
      return caller
    }
  }

  /// Lets in a request for what anybody may see, such as whether the host is well: nobody asks who sends it.
  public func admitAnybody(_ request: AccessRequest) throws(Refusal) {
    try counted { () throws(Refusal) in
      try HeaderRule(limits).check(request)
      try gate.spend(from: request.peer, at: clock.monotonic())
      try hosts.check(request.host)
    }
  }

  /// Refuses what a caller may not do.
  public func check(_ caller: Caller, may action: Action) throws(Refusal) {
    if caller.permits(action) { return }
    let scope =
      switch action {
      case .read: "read"
      case .send(let event): "events:\(event)"
      case .act: "admin"
      }
    try counted { () throws(Refusal) in
      throw Refusal(
        .forbidden, "The token `\(caller.name)` does not permit this: it takes the scope \(scope).")
    }
  }

  /// Counts so many further messages of a caller, such as those on a WebSocket or the lines of one request, against the
  /// rate of its token.
  public func spend(_ count: Int, of caller: Caller) throws(Refusal) {
    guard let token = caller.token else { return }
    try counted { () throws(Refusal) in try gate.spend(count, of: token, at: clock.monotonic()) }
  }

  /// Whether a caller that was let in would be let in now: its token was not revoked and has not expired, and nobody has
  /// made a first token since it came without one. For what stays open for long.
  public func stillCounts(_ caller: Caller) -> Bool {
    switch caller.kind {
    case .local: isOpenHere
    case .anybody: !hasTokens
    case .token(let id), .page(let id):
      tokens?.token(id, at: Timestamp(nanoseconds: clock.now())) != nil
    }
  }

  /// How long the caller's token still counts unless it is revoked; nil: without end, or not at all.
  func timeLeft(of caller: Caller) -> Duration? {
    let now = Timestamp(nanoseconds: clock.now())
    guard let id = caller.token, let end = tokens?.token(id, at: now)?.expires else { return nil }
    return .nanoseconds(
      Int64(clamping: end.nanoseconds.subtractingReportingOverflow(now.nanoseconds).partialValue))
  }

  // MARK: Counts

  /// What came in, and what was refused, since the server was made.
  public var totals: ServerTotals {
    var totals = tally.totals
    totals.connections = gate.connections
    return totals
  }

  func noteRequest() { tally.noteRequest() }
  func note(refused code: Problem.Code) { tally.note(refused: code) }

  // MARK: Pages

  /// The value of `Set-Cookie` for a page, which then needs to show no token; nil for who has none to stand for it, and
  /// when the cookie that it renews is too old: the page asks for the token again.
  public func pageCookie(for caller: Caller, _ request: AccessRequest) -> String? {
    guard let token = caller.token else { return nil }
    let now = clock.monotonic()
    var old: PageCookies.Content?
    if caller.isPage {
      guard case .good(let content) = cookies.read(request.fields, at: now), content.token == token
      else {
        return nil
      }
      old = content
    }
    return cookies.header(for: token, renewing: old, isSecure: isSecurePage(request), at: now)
  }

  /// The value of `Set-Cookie` that ends what `pageCookie` began.
  public func forgettingCookie(_ request: AccessRequest) -> String {
    PageCookies.forgetting(isSecure: isSecurePage(request))
  }

  /// Whether the browser speaks TLS: to this host, or to a proxy before it, which the page's own origin tells.
  private func isSecurePage(_ request: AccessRequest) -> Bool {
    request.isEncrypted
      || (request.origin == .own
        && request.fields[.origin]?.lowercased().hasPrefix("https:") == true)
  }

  // MARK: Deciding

  private var hasTokens: Bool { tokens?.hasTokens ?? false }
  private var isOpenHere: Bool { rule == .owner || rule == .loopback && !hasTokens }

  private func caller(of request: AccessRequest, at now: MonotonicTime) throws(Refusal) -> Caller {
    let time = Timestamp(nanoseconds: clock.now())
    // Who shows a token comes by that or not at all.
    if request.fields.contains(.authorization) {
      return try byToken(request.fields[values: .authorization], time)
    }
    let cookie = cookies.read(request.fields, at: now)
    if case .good(let content) = cookie, let token = tokens?.token(content.token, at: time) {
      return .page(token)
    }
    if rule == .owner { return .local }
    if isOpenHere { return try local(request) }
    if rule == .insecure, !hasTokens { return .anybody }
    throw .unauthorized(cookie == .none ? .noCredentials : .badCookie)
  }

  private func byToken(_ values: [String], _ now: Timestamp) throws(Refusal) -> Caller {
    // RFC 6750, section 2.1; the scheme in any case (RFC 9110, section 11.1).
    let parts = values[0].split(separator: " ", maxSplits: 1)
    guard values.count == 1, parts.count == 2, parts[0].lowercased() == "bearer" else {
      throw .unauthorized(.badAuthorization)
    }
    switch tokens?.check(parts[1].drop { $0 == " " }, at: now) ?? .unknown {
    case .good(let token): return .token(token)
    case .malformed: throw .unauthorized(.malformedToken)
    case .unknown: throw .unauthorized(.unknownToken)
    case .expired: throw .unauthorized(.expiredToken)
    case .revoked: throw .unauthorized(.revokedToken)
    }
  }

  /// A proxy on this machine would make everybody its owner.
  private func local(_ request: AccessRequest) throws(Refusal) -> Caller {
    guard !request.isForwarded else {
      throw Refusal(
        .proxied,
        "A proxy sends this, and this host has no token: everybody would be taken for its owner. trigger-host token create makes one."
      )
    }
    // The rule is about the address that the host listens on; the peer shows that it is so.
    guard request.peer?.isLoopback == true else { throw .unauthorized(.noCredentials) }
    return .local
  }

  /// A page must not do, in the name of who looks at it, what it could not do itself.
  private func checkOrigin(of request: AccessRequest, _ caller: Caller) throws(Refusal) {
    switch request.origin {
    case .own: return
    // A cookie is for the host's own pages: a browser may send it along from another port of the same name.
    case .foreign(let origin) where cors.allows(origin) && !caller.isPage: return
    case .foreign, .unknown:
      // A browser adds no token by itself, so who has one is no page that somebody merely looks at; WebSockets know no
      // CORS, so there the list alone counts (RFC 6455, section 10.2).
      if caller.isByToken, !request.isWebSocket { return }
      throw Refusal(
        .foreignOrigin,
        "Origin: a page of another origin may not do this. cors in host.yaml lists those that may.")
    case nil:
      guard caller.isPage, !request.isSafe else { return }
      throw Refusal(
        .foreignOrigin,
        "Origin: a request that changes something and comes with a cookie must say its origin.")
    }
  }

  private func counted<Result>(_ body: () throws(Refusal) -> Result) throws(Refusal) -> Result {
    do throws(Refusal) { return try body() } catch {
      counts.note(error.cause)
      throw error
    }
  }
}

extension Caller {
  fileprivate var isByToken: Bool { if case .token = kind { true } else { false } }
  fileprivate var isPage: Bool { if case .page = kind { true } else { false } }
}
