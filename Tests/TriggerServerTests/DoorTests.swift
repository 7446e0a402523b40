import Foundation
import MetricsTestKit
import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerServer

/// Tokens, rates and names at the door of a server that listens: from the socket to the answer.
@Suite(.timeLimit(.minutes(10))) struct DoorTests {
  private static let event = #"{"page":"home"}"#

  private final class Keys: Sendable {
    let path = NSTemporaryDirectory() + "door-\(UUID().uuidString)"
    var files: TokenFiles { TokenFiles(in: path) }

    init() throws {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// A token with these scopes: its id, and the field that shows it.
    func token(_ scopes: Scope...) throws -> (id: TokenID, field: String) {
      let (token, text) = try files.create(
        scopes: scopes, now: Timestamp(nanoseconds: SystemClock().now()))
      return (token.id, "Authorization: Bearer \(text)")
    }
  }

  private func options(_ keys: Keys) -> ServerOptions {
    var options = ServerOptions()
    options.tokens = keys.files
    return options
  }

  @Test func scopesPermitWhatTheySay() async throws {
    let keys = try Keys()
    let (_, reader) = try keys.token(.read)
    let (_, sender) = try keys.token(try Scope(parsing: "events:vis*"))
    let (_, admin) = try keys.token(.admin)
    try await serving(ServedHost.scripts, options(keys)) { served in
      func send(_ event: String, _ field: String...) async throws -> ServedHost.Answer {
        try await served.ask(
          "POST", "/v1/events/\(event)", Self.event, "X: y", field.first ?? "X: z")
      }
      let none = try await send("visit")
      #expect(none.status == 401 && none["code"] == "unauthorized", "\(none)")
      #expect(none.head.lowercased().contains("www-authenticate: bearer"), "\(none.head)")
      #expect(try await send("visit", sender + "x").status == 401)
      let reading = try await send("visit", reader)
      #expect(reading.status == 403 && reading["code"] == "forbidden", "\(reading)")
      #expect(try await send("visit", sender).status == 200)
      #expect(try await send("order.placed", sender).status == 403)
      #expect(try await send("visit", admin).status == 200)
      // Each line of many is asked for.
      let lines = try await served.ask(
        "POST", "/v1/events",
        #"{"id":1,"event":"visit","payload":{"page":"a"}}"# + "\n"
          + #"{"id":2,"event":"order.placed","payload":{"id":"7"}}"# + "\n",
        type: "application/jsonl", sender)
      #expect(lines.status == 200 && lines.body.contains(#""code":"forbidden""#), "\(lines)")
      #expect(lines.body.contains("committed"), "\(lines)")
      // Who looks whether the host is well shows nothing.
      #expect(try await served.ask("GET", "/healthz").status == 200)
      #expect(try served.host.coordinator.store("orders").readSnapshot().value.isEmpty)
      #expect(served.server.access.counts.all[.forbidden] == 3)
    }
  }

  /// Keys of senders belong to who sends: another's event with the same key is another event.
  @Test func keysBelongToTheToken() async throws {
    let keys = try Keys()
    let senders = [try keys.token(.admin).field, try keys.token(.admin).field]
    try await serving(ServedHost.scripts, options(keys)) { served in
      for sender in senders + senders {
        let answer = try await served.ask(
          "POST", "/v1/events/visit", Self.event, "Idempotency-Key: k", sender)
        #expect(answer.status == 200, "\(answer)")
      }
      #expect(try served.host.coordinator.store("pages").get("home") == 2)
    }
  }

  @Test func ratesCountRequestsAndLines() async throws {
    let keys = try Keys()
    let (_, sender) = try keys.token(.admin)
    var options = options(keys)
    options.settings.limits.tokenRate = 3
    options.settings.limits.burst = 1
    // Time stands still: nothing is earned.
    options.clock = ManualClock(now: SystemClock().now())
    try await serving(ServedHost.scripts, options) { served in
      #expect(try await served.ask("POST", "/v1/events/visit", Self.event, sender).status == 200)
      let lines = try await served.ask(
        "POST", "/v1/events/visit", String(repeating: Self.event + "\n", count: 3),
        type: "application/jsonl", sender)
      #expect(lines.body.components(separatedBy: "too_many_requests").count == 3, "\(lines)")
      let refused = try await served.ask("POST", "/v1/events/visit", Self.event, sender)
      #expect(
        refused.status == 429 && refused.head.lowercased().contains("retry-after: 1"), "\(refused)")
      #expect(try served.host.coordinator.store("pages").get("home") == 2)
    }
  }

  /// The first token closes the door of this machine, too; one that is taken back opens nothing any more.
  @Test func aTokenThatIsTakenBackCountsNoMore() async throws {
    let keys = try Keys()
    let (id, admin) = try keys.token(.admin)
    try await serving(ServedHost.scripts, options(keys)) { served in
      #expect(try await served.ask("POST", "/v1/events/visit", Self.event, admin).status == 200)
      _ = try keys.files.revoke(id, now: Timestamp(nanoseconds: SystemClock().now()))
      // The store follows its file: it tells within a moment.
      var status = 200
      while status == 200 {
        // The connection on which it asks may be closed meanwhile.
        status = (try? await served.ask("POST", "/v1/events/visit", Self.event, admin).status) ?? 200
      }
      #expect(status == 401)
    }
  }

  /// A connection on which somebody asks whose token is taken back is closed, whatever goes on there; others' stay.
  @Test func connectionsOfATokenEndWithIt() async throws {
    let keys = try Keys()
    let (id, gone) = try keys.token(.admin)
    let (_, good) = try keys.token(.admin)
    try await serving(ServedHost.scripts, options(keys)) { served in
      func request(_ field: String, _ more: String = "") -> String {
        "GET /hello HTTP/1.1\r\nHost: localhost\r\n\(field)\r\n\(more)\r\n"
      }
      // It reads until the server closes.
      async let waiting = served.raw(request(gone))
      try await poll(for: "the request") { served.server.connections.asked == 1 }
      _ = try keys.files.revoke(id, now: Timestamp(nanoseconds: SystemClock().now()))
      _ = try await waiting
      #expect(
        try await served.raw(request(good, "Connection: close\r\n")).hasPrefix("HTTP/1.1 200"))
    }
  }

  @Test func connectionsOfNobodyEndWithTheFirstToken() async throws {
    let keys = try Keys()
    try await serving(ServedHost.scripts, options(keys)) { served in
      async let waiting = served.raw("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
      try await poll(for: "the request") { served.server.connections.asked == 1 }
      _ = try keys.token(.admin)
      _ = try await waiting
    }
  }

  /// The clock of the tokens is set by hand; that of the connection goes on by itself.
  @Test func connectionsEndWhenTheirTokenDoes() async throws {
    let keys = try Keys()
    let now = SystemClock().now()
    let (_, text) = try keys.files.create(
      scopes: [.admin], expires: Timestamp(nanoseconds: now + 300_000_000),
      now: Timestamp(nanoseconds: now))
    var options = options(keys)
    let clock = ManualClock(now: now)
    options.clock = clock
    try await serving(ServedHost.scripts, options) { served in
      async let waiting = served.raw(
        "GET /hello HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(text)\r\n\r\n")
      try await poll(for: "the request") { served.server.connections.asked == 1 }
      clock.advance(by: .milliseconds(300))
      _ = try await waiting
    }
  }

  @Test func aPageHasACookieForItsToken() async throws {
    let keys = try Keys()
    let (id, token) = try keys.token(.admin)
    try await serving(ServedHost.scripts, options(keys)) { served in
      let own = "Origin: http://localhost:\(served.port)"
      func send(_ fields: String...) async throws -> Int {
        try await served.ask(
          "POST", "/v1/events/visit", Self.event, fields[0], fields.count > 1 ? fields[1] : "X: y"
        ).status
      }
      #expect(try await served.ask("POST", "/v1/page", "", own).status == 401)
      let answer = try await served.ask("POST", "/v1/page", "", own, token)
      let line = try #require(
        answer.head.components(separatedBy: "\r\n").first {
          $0.lowercased().hasPrefix("set-cookie: ")
        })
      #expect(answer.status == 204 && line.contains("; HttpOnly; SameSite=Strict"), "\(answer)")
      let cookie = "Cookie: " + line.dropFirst("set-cookie: ".count).prefix { $0 != ";" }
      #expect(try await send(cookie, own) == 200)
      // A browser sends it along for pages of others, too, if they are of the same site.
      #expect(try await send(cookie, "Origin: http://localhost:1") == 403)
      #expect(try await send(cookie) == 403)
      #expect(try await send(cookie + "0", own) == 401)
      let renewed = try await served.ask("POST", "/v1/page", "", own, cookie)
      #expect(
        renewed.status == 204 && renewed.head.lowercased().contains("set-cookie: trigger_host="),
        "\(renewed)")
      let forgotten = try await served.ask("DELETE", "/v1/page", "", own, cookie)
      #expect(forgotten.status == 204 && forgotten.head.contains("Max-Age=0"), "\(forgotten)")
      _ = try keys.files.revoke(id, now: Timestamp(nanoseconds: SystemClock().now()))
      var status = 200
      // The connection on which it asks may be closed meanwhile.
      while status == 200 { status = (try? await send(cookie, own)) ?? 200 }
      #expect(status == 401)
    }
  }

  @Test func everyRefusalIsCounted() async throws {
    let metrics = TestMetrics()
    var options = ServerOptions()
    options.settings.limits.bodyBytes = 10
    options.settings.limits.headerTime = .milliseconds(100)
    options.metrics = metrics
    let served = try await ServedHost(ServedHost.scripts, options)
    _ = try await served.ask("GET", "/nothing")
    _ = try await served.ask("POST", "/v1/events/visit", Self.event)
    _ = try await served.raw("GET nonsense\r\n\r\n")
    _ = try await served.raw("GET / HTTP/1.1\r\nHost: local")
    _ = try await served.raw("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    #expect(try await served.ask("GET", "/healthz").status == 200)
    let totals = served.server.access.totals
    #expect(
      totals.refused == [
        .notFound: 1, .tooLarge: 1, .badRequest: 1, .requestTimeout: 1, .misdirected: 1,
      ])
    #expect(totals.requests == 4 && totals.connectionsOpened == 6 && totals.connectionsRefused == 0)
    try await served.stop()
    #expect(served.server.access.totals.connections == 0)
    func counted(_ name: String, _ dimensions: [(String, String)] = []) throws -> Int64 {
      try metrics.expectCounter("triggerhost_http_\(name)", dimensions).totalValue
    }
    #expect(try counted("refused_total", [("code", "too_large")]) == 1)
    #expect(try counted("requests_total") == 4)
    #expect(try counted("connections_total", [("outcome", "opened")]) == 6)
  }
}
