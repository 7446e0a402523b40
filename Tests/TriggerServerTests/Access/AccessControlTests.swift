import Foundation
import HTTPTypes
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerServer

/// Who comes in, from where, and with what.
@Suite struct AccessControlTests {
  /// An access control with two tokens, `read` and `admin`, on a clock set by hand.
  final class Door {
    let path = NSTemporaryDirectory() + "access-\(UUID().uuidString)"
    let files: TokenFiles
    let clock = ManualClock(now: TokenTests.now.nanoseconds)
    let control: AccessControl
    let store: TokenStore
    var texts: [String: String] = [:]
    var ids: [String: TokenID] = [:]

    init(
      _ rule: StartRule, tokens: [String] = ["read", "admin"],
      _ change: (inout AccessSettings) -> Void = { _ in }
    ) throws {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      files = TokenFiles(in: path)
      for scope in tokens {
        let made = try files.create(
          name: "the \(scope)", scopes: [try Scope(parsing: scope)],
          expires: TokenTests.later(86_400 * 7),
          now: TokenTests.now)
        texts[scope] = made.text
        ids[scope] = made.token.id
      }
      store = try TokenStore(files)
      var settings = AccessSettings()
      change(&settings)
      control = try AccessControl(rule, tokens: store, settings: settings, clock: clock)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func fields(_ token: String) -> [(String, String)] {
      [("Authorization", "Bearer \(texts[token]!)")]
    }

    /// Who that is, or the cause of the refusal.
    func ask(_ request: AccessRequest) -> String {
      do throws(Refusal) {
        let caller = try control.admit(request)
        return String("\(caller.kind)".prefix { $0 != "(" }) + " " + caller.name
      } catch { return error.cause.rawValue }
    }
  }

  static func request(
    _ fields: [(String, String)] = [], host: String? = "127.0.0.1:8080",
    from peer: String = "127.0.0.1",
    method: HTTPRequest.Method = .get, isEncrypted: Bool = false, isWebSocket: Bool = false
  ) -> AccessRequest {
    var head = HTTPRequest(method: method, scheme: "http", authority: host, path: "/v1/stores")
    for (name, value) in fields {
      head.headerFields.append(HTTPField(name: .init(name)!, value: value))
    }
    return AccessRequest(
      head, peer: IPAddress(peer), isEncrypted: isEncrypted, isWebSocket: isWebSocket)
  }
  private func request(
    _ fields: [(String, String)] = [], host: String? = "127.0.0.1:8080",
    from peer: String = "127.0.0.1",
    method: HTTPRequest.Method = .get, isEncrypted: Bool = false, isWebSocket: Bool = false
  ) -> AccessRequest {
    Self.request(
      fields, host: host, from: peer, method: method, isEncrypted: isEncrypted,
      isWebSocket: isWebSocket)
  }

  // MARK: Credentials

  @Test func onlyTokensThatCountLetIn() throws {
    let door = try Door(.tokens)
    let good = door.texts["read"]!
    #expect(door.ask(request(door.fields("read"))) == "token the read")
    #expect(door.ask(request([("Authorization", "bEARER   \(good)")])) == "token the read")
    #expect(door.ask(request()) == "no_credentials")
    for wrong in ["", "Bearer", "Bearer ", good, "Basic \(good)", "Bearer\t\(good)"] {
      #expect(door.ask(request([("Authorization", wrong)])) == "bad_authorization", "\(wrong)")
    }
    #expect(door.ask(request(door.fields("read") + door.fields("admin"))) == "bad_authorization")
    #expect(door.ask(request([("Authorization", "Bearer \(good) \(good)")])) == "malformed_token")
    #expect(door.ask(request([("Authorization", "Bearer \(good)x")])) == "malformed_token")
    let unknown = TokenText(id: door.ids["read"]!).text
    #expect(door.ask(request([("Authorization", "Bearer \(unknown)")])) == "unknown_token")
    door.clock.advance(by: .seconds(86_400 * 7))
    #expect(door.ask(request(door.fields("read"))) == "expired_token")
    #expect(
      door.control.counts.all[.badAuthorization] == 7 && door.control.counts.all[.expiredToken] == 1
    )
  }

  /// Whatever was wrong with what somebody showed, the answer is the same.
  @Test func outsideAllFailuresLookAlike() throws {
    let door = try Door(.tokens)
    let unknown = TokenText(id: door.ids["read"]!).text
    let answers = ["Bearer \(unknown)", "Bearer x", "Basic x", nil].map { value -> String in
      do throws(Refusal) {
        _ = try door.control.admit(request(value.map { [("Authorization", $0)] } ?? []))
        return "let in"
      } catch { return "\(error.status) \(error.code) \(error.detail) \(error.fields)" }
    }
    #expect(Set(answers).count == 1)
    #expect(
      answers[0].hasPrefix("401") && answers[0].contains("unauthorized")
        && answers[0].contains("Bearer"))
  }

  @Test func callersMayWhatTheirScopesSay() throws {
    let door = try Door(.tokens)
    let caller = try door.control.admit(request(door.fields("read")))
    try door.control.check(caller, may: .read)
    #expect(
      performing: { try door.control.check(caller, may: .send(event: "x")) },
      throws: { error in
        let refusal = error as? Refusal
        return refusal?.status == .forbidden
          && refusal?.detail.hasSuffix("it takes the scope events:x.") == true
      })
    #expect(caller.identity == door.ids["read"]?.description)
    #expect(door.control.counts.all == [.forbidden: 1])
  }

  // MARK: Without a token

  @Test func onThisMachineEverybodyComesInUntilThereIsAToken() async throws {
    let door = try Door(.loopback, tokens: [])
    #expect(door.ask(request()) == "local local")
    let caller = try door.control.admit(request())
    #expect(caller.permits(.act) && door.control.stillCounts(caller))
    // A proxy would make everybody its owner.
    for name in ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"] {
      #expect(door.ask(request([(name, "1.2.3.4")])) == "proxied", "\(name)")
    }
    #expect(door.ask(request(from: "192.0.2.1")) == "no_credentials")
    #expect(door.ask(request(from: "::1")) == "local local")
    #expect(door.ask(request(from: "::ffff:127.0.0.1")) == "local local")
    // Who shows something that does not count is not let in for being here.
    #expect(door.ask(request([("Authorization", "Bearer x")])) == "malformed_token")
    #expect(door.ask(request([("Cookie", "trigger_host=x")])) == "local local")

    let closed = try Door(.loopback)
    #expect(closed.ask(request()) == "no_credentials")
    #expect(
      closed.ask(request(closed.fields("read") + [("X-Forwarded-For", "1.2.3.4")]))
        == "token the read")
    #expect(!closed.control.stillCounts(caller))
  }

  @Test func insecureHoldsUntilThereIsAToken() throws {
    #expect(try Door(.insecure, tokens: []).ask(request(from: "192.0.2.1")) == "anybody anybody")
    #expect(try Door(.insecure).ask(request(from: "192.0.2.1")) == "no_credentials")
  }

  // MARK: Names

  /// DNS rebinding: a page's own name leads here.
  @Test(arguments: [
    (nil, "bad_host"), ("", "bad_host"), ("a b", "bad_host"), ("127.0.0.1:x", "bad_host"),
    ("127.0.0.1:0", "bad_host"),
    ("evil@127.0.0.1", "bad_host"), ("[::1", "bad_host"), ("127.0.0.1,evil.example", "bad_host"),
    ("evil.example", "foreign_host"), ("evil.example:8080", "foreign_host"),
    ("127.0.0.1.evil.example", "foreign_host"),
    ("localhost.evil.example", "foreign_host"), ("xlocalhost", "foreign_host"),
    ("2130706433", "foreign_host"),
    ("127.0.0.1", ""), ("[::1]:8080", ""), ("LocalHost:1", ""), ("a.localhost", ""),
    ("192.168.0.7", ""),
    ("mine.example:99", ""), ("MINE.example", ""),
  ])
  func whereSomebodyComesInWithoutATokenNamesAreKnown(_ host: String?, _ cause: String) throws {
    for rule in [StartRule.loopback, .insecure] {
      let door = try Door(rule, tokens: []) { $0.hostNames = ["Mine.Example"] }
      let expected = cause.isEmpty ? (rule == .loopback ? "local local" : "anybody anybody") : cause
      #expect(door.ask(request(host: host)) == expected)
    }
  }

  @Test func whereATokenIsNeededAnyNameDoesUnlessTheyAreListed() throws {
    let door = try Door(.tokens)
    #expect(door.ask(request(door.fields("read"), host: "any.example")) == "token the read")
    #expect(door.ask(request(door.fields("read"), host: nil)) == "bad_host")
    let listed = try Door(.tokens) { $0.hostNames = ["mine.example"] }
    #expect(listed.ask(request(listed.fields("read"), host: "any.example")) == "foreign_host")
    #expect(listed.ask(request(listed.fields("read"), host: "mine.example")) == "token the read")
    // On loopback also with a token: the cookie of a page is bound to no address.
    let here = try Door(.loopback)
    #expect(here.ask(request(here.fields("read"), host: "any.example")) == "foreign_host")
  }

  // MARK: Origins

  private static let own = "http://127.0.0.1:8080"

  /// A page somewhere must not do, through the browser of who looks at it, what it could not do itself.
  @Test(arguments: [
    (own, "local"), ("HTTP://127.0.0.1:8080", "local"), ("https://127.0.0.1:8080", "local"),
    ("http://localhost:8080", "foreign_origin"), ("http://127.0.0.1", "foreign_origin"),
    ("http://127.0.0.1:8081", "foreign_origin"), ("https://evil.example", "foreign_origin"),
    ("null", "foreign_origin"),
    ("file://", "foreign_origin"), ("", "foreign_origin"), (own + "/", "foreign_origin"),
    ("https://app.example", "local"),
    ("https://app.example.evil.example", "foreign_origin"),
    ("http://app.example", "foreign_origin"),
  ])
  func pagesOfOthers(_ origin: String, _ expected: String) throws {
    let door = try Door(.loopback, tokens: []) { $0.origins = ["https://app.example"] }
    for method in [HTTPRequest.Method.get, .post] {
      let answer = door.ask(request([("Origin", origin)], method: method))
      #expect(answer.hasPrefix(expected), "\(origin) \(method)")
    }
    let answer = door.ask(request([("Origin", origin)], isWebSocket: true))
    #expect(answer.hasPrefix(expected))
    #expect(door.ask(request([("Origin", origin), ("Origin", Self.own)])) == "foreign_origin")
  }

  @Test func aTokenOfItsOwnLetsAPageInButNotIntoAWebSocket() throws {
    let door = try Door(.tokens) { $0.origins = ["https://app.example"] }
    func ask(_ origin: String, isWebSocket: Bool) -> String {
      door.ask(
        request(
          door.fields("admin") + [("Origin", origin)], method: isWebSocket ? .get : .post,
          isWebSocket: isWebSocket))
    }
    #expect(ask("https://evil.example", isWebSocket: false) == "token the admin")
    #expect(ask("https://evil.example", isWebSocket: true) == "foreign_origin")
    #expect(ask("https://app.example", isWebSocket: true) == "token the admin")
    #expect(ask(Self.own, isWebSocket: true) == "token the admin")
    // With TLS of our own, a page that came without is another's.
    let encrypted = request(
      door.fields("admin") + [("Origin", Self.own)], isEncrypted: true, isWebSocket: true)
    #expect(door.ask(encrypted) == "foreign_origin")
  }

  // MARK: Pages

  private func cookie(_ door: Door, _ token: String, isEncrypted: Bool = false) throws -> (
    set: String, pair: String
  ) {
    let request = request(door.fields(token), isEncrypted: isEncrypted)
    let set = try #require(door.control.pageCookie(for: try door.control.admit(request), request))
    return (set, String(set.prefix { $0 != ";" }))
  }

  @Test func aCookiePermitsWhatItsTokenDoes() throws {
    let door = try Door(.tokens)
    let (set, pair) = try cookie(door, "read")
    #expect(
      set.hasSuffix("; Path=/; Max-Age=900; HttpOnly; SameSite=Strict")
        && set.hasPrefix("trigger_host="))
    #expect(!set.contains(door.texts["read"]!))
    let asked = request([("Cookie", "a=b; \(pair); c=d")])
    #expect(door.ask(asked) == "page the read")
    let caller = try door.control.admit(asked)
    #expect(caller.permits(.read) && !caller.permits(.act) && door.control.stillCounts(caller))
    // What changes something comes from a page of this host, and says so.
    #expect(door.ask(request([("Cookie", pair)], method: .post)) == "foreign_origin")
    #expect(door.ask(request([("Cookie", pair)], isWebSocket: true)) == "foreign_origin")
    #expect(
      door.ask(request([("Cookie", pair), ("Origin", Self.own)], method: .post)) == "page the read")
    #expect(
      door.ask(request([("Cookie", pair), ("Origin", Self.own)], isWebSocket: true))
        == "page the read")
    #expect(
      door.ask(request([("Cookie", pair), ("Origin", "http://127.0.0.1:3000")])) == "foreign_origin"
    )
    door.clock.advance(by: .seconds(900))
    #expect(door.ask(asked) == "bad_cookie")
  }

  @Test func aListedOriginMayNotUseACookie() throws {
    let door = try Door(.tokens) { $0.origins = ["http://127.0.0.1:3000"] }
    let pair = try cookie(door, "read").pair
    #expect(
      door.ask(request([("Cookie", pair), ("Origin", "http://127.0.0.1:3000")])) == "foreign_origin"
    )
  }

  @Test func overTLSACookieIsOfThisHostAlone() throws {
    let door = try Door(.tokens)
    let (set, pair) = try cookie(door, "read", isEncrypted: true)
    #expect(
      set.hasPrefix("__Host-trigger_host=") && set.hasSuffix("; HttpOnly; SameSite=Strict; Secure"))
    #expect(door.ask(request([("Cookie", pair)], isEncrypted: true)) == "page the read")
    // A proxy encrypts: the page's own origin tells.
    let proxied = request(
      door.fields("read") + [("Origin", "https://127.0.0.1:8080")], method: .post)
    #expect(
      door.control.pageCookie(for: try door.control.admit(proxied), proxied)?.hasSuffix("; Secure")
        == true)
    #expect(
      door.control.forgettingCookie(proxied).hasPrefix("__Host-trigger_host=; Path=/; Max-Age=0;"))
  }

  @Test func whatTheHostDidNotSignIsNoCookie() throws {
    let (door, other) = (try Door(.tokens), try Door(.tokens))
    let pair = try cookie(door, "read").pair
    let parts = pair.dropFirst("trigger_host=".count).split(separator: ".").map(String.init)
    #expect(parts.count == 4 && door.ask(request([("Cookie", pair)])) == "page the read")
    let forged = [
      "", ".", "...", "....", parts[0], parts.dropLast().joined(separator: "."),
      "\(door.ids["admin"]!).\(parts[1]).\(parts[2]).\(parts[3])",
      "\(parts[0]).\(parts[1]).9999999.\(parts[3])",
      "\(parts[0]).\(parts[1]).\(parts[2]).\(parts[3].dropLast(2))",
      "\(parts.joined(separator: ".")).x",
      "\(parts[0]).\(parts[1]).\(parts[2]).\(String(parts[3].reversed()))",
      try cookie(other, "admin").pair.split(separator: "=").map(String.init)[1],
    ]
    for value in forged {
      #expect(door.ask(request([("Cookie", "trigger_host=\(value)")])) == "bad_cookie", "\(value)")
    }
    // Other cookies of that name, as another service on this machine may set, do not hide ours.
    #expect(door.ask(request([("Cookie", "trigger_host=x; \(pair)")])) == "page the read")
    #expect(door.ask(request([("Cookie", "trigger_host=x"), ("Cookie", pair)])) == "page the read")
    #expect(
      door.ask(request([("Cookie", "xtrigger_host=\(parts.joined(separator: "."))")]))
        == "no_credentials")
  }

  @Test func aCookieIsRenewedForTwelveHoursAtMost() throws {
    let door = try Door(.tokens)
    var (set, pair) = try cookie(door, "read")
    var hours = 0.0
    while true {
      door.clock.advance(by: .seconds(800))
      hours += 800 / 3600
      let asked = request([("Cookie", pair), ("Origin", Self.own)], method: .post)
      #expect(door.ask(asked) == "page the read")
      guard let next = door.control.pageCookie(for: try door.control.admit(asked), asked) else {
        break
      }
      set = next
      pair = String(set.prefix { $0 != ";" })
      if set.contains("Max-Age=900") { continue }
      // The last one ends when the twelve hours do.
      #expect(hours > 11.7)
      door.clock.advance(by: .seconds(900))
      break
    }
    #expect(hours > 11.7 && hours < 12)
    #expect(door.ask(request([("Cookie", pair)])) == "bad_cookie")
    // Who came without a token has nothing that a cookie could stand for.
    #expect(door.control.pageCookie(for: .local, request()) == nil)
  }

  @Test func aRevokedTokenTakesItsCookiesAlong() async throws {
    let door = try Door(.tokens)
    let pair = try cookie(door, "admin").pair
    let caller = try door.control.admit(request([("Cookie", pair)]))
    _ = try door.files.revoke(door.ids["admin"]!, now: TokenTests.now)
    let next = try TokenStore(door.files)
    door.store.start()
    defer { door.store.stop() }
    #expect(next.token(door.ids["admin"]!, at: TokenTests.now) == nil)
    #expect(
      !door.control.stillCounts(caller) && door.ask(request([("Cookie", pair)])) == "bad_cookie")
  }

  // MARK: CORS

  @Test func preflightsOfListedOrigins() throws {
    let door = try Door(.tokens) { $0.origins = ["https://app.example"] }
    func preflight(_ fields: [(String, String)], _ method: HTTPRequest.Method = .options)
      -> HTTPFields?
    {
      door.control.cors.preflight(request(fields, method: method))
    }
    let asks = [("Access-Control-Request-Method", "POST")]
    let good = try #require(preflight(asks + [("Origin", "https://app.example")]))
    #expect(good[.accessControlAllowOrigin] == "https://app.example" && good[.vary] == "Origin")
    #expect(good[.accessControlAllowMethods]?.contains("POST") == true)
    #expect(
      good[.accessControlAllowHeaders]?.contains("Authorization") == true
        && good[.accessControlMaxAge] == "600")
    #expect(good[.accessControlAllowCredentials] == nil)
    for origin in ["https://evil.example", "null", "*"] {
      let fields = try #require(preflight(asks + [("Origin", origin)]))
      #expect(fields.map(\.name) == [.vary], "\(origin)")
    }
    #expect(preflight([("Origin", "https://app.example")]) == nil && preflight(asks, .get) == nil)
    // Without a list nothing is said at all.
    #expect(
      try Door(.tokens).control.cors.fields(for: request([("Origin", "https://app.example")]))
        .isEmpty)
    #expect(throws: AccessError.self) { try CORSPolicy(["*"]) }
    #expect(throws: AccessError.self) { try CORSPolicy(["https://app.example/"]) }
  }

  // MARK: Limits

  @Test func ratesOfTokensAndAddresses() throws {
    let door = try Door(.tokens) {
      $0.limits.tokenRate = 2
      $0.limits.addressRate = 4
    }
    // A bucket of two seconds.
    for _ in 0..<4 { #expect(door.ask(request(door.fields("read"))) == "token the read") }
    #expect(
      performing: { try door.control.admit(request(door.fields("read"))) },
      throws: { error in
        let refusal = error as? Refusal
        return refusal?.cause == .tokenRate && refusal?.status == .tooManyRequests
          && refusal?.fields[.retryAfter] == "1"
      })
    // One token's flood is not another's, and this machine has no bound.
    for _ in 0..<4 { #expect(door.ask(request(door.fields("admin"))) == "token the admin") }
    for _ in 0..<50 { #expect(door.ask(request()) == "no_credentials") }
    // An address is bounded whatever it shows, and IPv6 by its network.
    for index in 0..<8 {
      #expect(door.ask(request(from: "2001:db8::\(index)")) == "no_credentials")
    }
    #expect(door.ask(request(from: "2001:db8::99")) == "address_rate")
    #expect(door.ask(request(from: "2001:db8:0:1::")) == "no_credentials")
    door.clock.advance(by: .milliseconds(500))
    #expect(door.ask(request(door.fields("read"))) == "token the read")
    #expect(door.ask(request(door.fields("read"))) == "token_rate")
    // Messages of a WebSocket count as well.
    let caller = Caller.token(try #require(door.store.token(door.ids["read"]!, at: TokenTests.now)))
    #expect(throws: Refusal.self) { try door.control.spend(2, of: caller) }
    door.clock.advance(by: .seconds(1))
    try door.control.spend(2, of: caller)
  }

  @Test func headsHaveABound() throws {
    let door = try Door(.tokens) {
      $0.limits.headerBytes = 2_000
      $0.limits.headerFields = 10
    }
    #expect(
      door.ask(request(door.fields("read") + [("X", String(repeating: "x", count: 1_700))]))
        == "token the read")
    #expect(
      door.ask(request(door.fields("read") + [("X", String(repeating: "x", count: 2_000))]))
        == "header_too_large")
    #expect(door.ask(request((0..<10).map { ("X-\($0)", "") })) == "no_credentials")
    #expect(door.ask(request((0..<11).map { ("X-\($0)", "") })) == "header_too_large")
  }

  @Test func everyCauseHasAStatusAndAStableWord() {
    let words = Refusal.Cause.allCases.map {
      "\($0.rawValue) \(Refusal($0, "").status.code) \(Refusal($0, "").code)"
    }
    #expect(
      words == [
        "no_credentials 401 unauthorized", "bad_authorization 401 unauthorized",
        "malformed_token 401 unauthorized",
        "unknown_token 401 unauthorized", "expired_token 401 unauthorized",
        "revoked_token 401 unauthorized",
        "bad_cookie 401 unauthorized", "forbidden 403 forbidden", "bad_host 400 bad_host",
        "foreign_host 421 foreign_host",
        "foreign_origin 403 foreign_origin", "proxied 403 proxied", "token_rate 429 token_rate",
        "address_rate 429 address_rate", "address_connections 429 address_connections",
        "connections 503 connections", "sessions 503 sessions",
        "header_too_large 431 header_too_large",
      ])
  }
}

/// Where a host may listen, and who then comes in.
@Suite struct StartRuleTests {
  @Test(arguments: [
    "127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1",
  ])
  func loopbackNeedsNothing(_ address: String) throws {
    for hasTokens in [true, false] {
      #expect(try StartRule.decide(address: address, hasTokens: hasTokens) == .loopback)
    }
    #expect(StartRule.loopback.warning(address: address, hasTLS: false) == nil)
  }

  @Test(arguments: [
    "0.0.0.0", "::", "[::]", "192.168.0.7", "10.0.0.1", "host.example", "localhost.example",
    "1270.0.1", "",
    "127.1",
  ])
  func otherAddressesNeedTokensOrAWord(_ address: String) throws {
    #expect(
      performing: { try StartRule.decide(address: address, hasTokens: false) },
      throws: { error in
        "\(error)".hasPrefix("--listen \(address): others can reach this address")
          && "\(error)".contains("--insecure")
      })
    #expect(try StartRule.decide(address: address, hasTokens: true) == .tokens)
    #expect(try StartRule.decide(address: address, hasTokens: false, isInsecure: true) == .insecure)
    // A token closes the door whatever was said.
    #expect(try StartRule.decide(address: address, hasTokens: true, isInsecure: true) == .tokens)
    #expect(
      StartRule.tokens.warning(address: address, hasTLS: false)?.contains("without TLS") == true)
    #expect(StartRule.tokens.warning(address: address, hasTLS: true) == nil)
    #expect(StartRule.insecure.warning(address: address, hasTLS: true) != nil)
  }

  @Test func addresses() {
    #expect(IPAddress("::ffff:192.0.2.1") == IPAddress("192.0.2.1"))
    #expect(IPAddress("192.0.2.1")?.network == IPAddress("192.0.2.1"))
    #expect(IPAddress("2001:db8:0:1:2:3:4:5")?.network == IPAddress("2001:db8:0:1::"))
    for wrong in [
      "", "1", "1.2.3", "256.1.1.1", "[::1]", "::1%lo", "1.2.3.4 ", "localhost", "::1\0",
    ] {
      #expect(IPAddress(wrong) == nil, "\(wrong)")
    }
  }
}
