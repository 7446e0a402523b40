import Testing
import TriggerCore

import TriggerServer

/// What a browser, a proxy or an enemy may send, byte by byte.
@Suite(.timeLimit(.minutes(10))) struct HostileTests {
  private static let event = #"{"page":"home"}"#

  @Test(arguments: [
    "Content-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST /v1/events/visit HTTP/1.1\r\n",
    "Content-Length: 15\r\nContent-Length: 16\r\n\r\n{\"page\":\"home\"}",
    "Content-Length: -1\r\n\r\n", "Content-Length: 15 \u{b}\r\n\r\n{\"page\":\"home\"}",
    "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "Transfer-Encoding: xchunked\r\n\r\n",
    "Bad Name: x\r\nContent-Length: 0\r\n\r\n", "X: a\u{0}b\r\nContent-Length: 0\r\n\r\n",
    "Host: other\r\nContent-Length: 0\r\n\r\n",
  ]) func whatTwoMayReadInTwoWaysIsRefused(_ rest: String) async throws {
    try await serving { served in
      let text = try await served.raw(
        "POST /v1/events/visit HTTP/1.1\r\nHost: localhost\r\n\(rest)", closes: true)
      let answer = try ServedHost.parsed(text)
      #expect(answer.status == 400 && text.contains(#""code":"bad_request""#), "\(text)")
      #expect(text.components(separatedBy: "HTTP/1.1 ").count == 2, "one answer, and the end: \(text)")
      #expect(served.host.coordinator.stats.currentSeq == 0)
    }
  }

  @Test func hostsOfOthersAreRefused() async throws {
    try await serving { served in
      for (host, status) in [
        ("evil.example", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421),
        ("localhost", 200), ("LOCALHOST:80", 200), ("127.9.9.9:1", 200), ("[::1]:8080", 200),
        ("", 400), ("a b", 400), ("localhost:x", 400),
      ] {
        let answer = try ServedHost.parsed(
          try await served.raw("GET /healthz HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n"))
        #expect(answer.status == status, "\(host): \(answer)")
      }
      let none = try ServedHost.parsed(
        try await served.raw("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"))
      #expect(none.status == 400)
      let page = try await served.ask("POST", "/v1/events/visit", Self.event, "Origin: http://evil.example")
      #expect(page.status == 403 && page["code"] == "foreign_origin", "\(page)")
      let own = try await served.ask(
        "POST", "/v1/events/visit", Self.event, "Origin: http://localhost:\(served.port)")
      #expect(own.status == 200, "\(own)")
      #expect(served.host.coordinator.stats.currentSeq == 1)
    }
  }

  @Test func largeHeadsAreRefused() async throws {
    try await serving { served in
      let long = try await served.raw(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: \(String(repeating: "x", count: 40_000))\r\n\r\n")
      #expect(try ServedHost.parsed(long).status == 431, "\(long.prefix(300))")
      let many = (1...200).map { "X-\($0): y\r\n" }.joined()
      let fields = try await served.raw("GET / HTTP/1.1\r\nHost: localhost\r\n\(many)\r\n")
      #expect(try ServedHost.parsed(fields).status == 431, "\(fields.prefix(300))")
      #expect(fields.contains(#""code":"headers_too_large""#))
    }
  }

  /// A head and a body have their own time, shorter than that of a connection on which nothing comes.
  @Test func slowRequestsEnd() async throws {
    var options = ServerOptions()
    options.settings.limits.idleTime = .seconds(3600)
    options.settings.limits.headerTime = .milliseconds(100)
    options.settings.limits.bodyTime = .milliseconds(100)
    try await serving(ServedHost.scripts, options) { served in
      let head = try await served.raw("GET /healthz HTTP/1.1\r\nHost: local")
      #expect(try ServedHost.parsed(head).status == 408, "\(head)")
      let body = try await served.raw(
        "POST /v1/events/visit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15\r\n\r\n{\"page")
      #expect(try ServedHost.parsed(body).status == 408, "\(body)")
      #expect(served.host.coordinator.stats.currentSeq == 0)
    }
  }

  @Test func connectionsOnWhichNobodyAsksEnd() async throws {
    var options = ServerOptions()
    options.settings.limits.idleTime = .milliseconds(100)
    try await serving(ServedHost.scripts, options) { served in
      let text = try await served.raw("")
      #expect(text == "")
    }
  }

  /// What came of a body that breaks off is answered, and the answer is whole.
  @Test func aBodyOfLinesThatBreaksOffIsAnsweredToItsEnd() async throws {
    try await serving { served in
      let text = try await served.raw(
        "POST /v1/events/visit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/jsonl\r\n"
          + "Content-Length: 100\r\n\r\n\(Self.event)\n\(Self.event)", closes: true)
      #expect(text.contains("committed") && text.hasSuffix("0\r\n\r\n"), "\(text)")
      #expect(served.host.coordinator.stats.committed == 1)
    }
  }

  /// Requests that come at once are answered in their order, and what follows a broken one is not read.
  @Test func pipelinedRequestsKeepTheirOrder() async throws {
    try await serving { served in
      let one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
      let text = try await served.raw(one + one + "GET nonsense\r\n\r\n" + one)
      let statuses = text.components(separatedBy: "HTTP/1.1 ").dropFirst().map { $0.prefix(3) }
      #expect(statuses == ["200", "200", "400"], "\(text)")
    }
  }
}
