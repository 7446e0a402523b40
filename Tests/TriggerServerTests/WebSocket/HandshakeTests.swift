import Foundation
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerServer

/// Who gets a WebSocket, and what the others are told.
@Suite(.timeLimit(.minutes(10))) struct HandshakeTests {
  private static let good = [
    "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
  ]

  private func ask(
    _ served: ServedHost, _ changes: [String: String?] = [:], target: String = "/v1/ws",
    method: String = "GET", more: String = ""
  ) async throws -> ServedHost.Answer {
    let fields = Self.good.merging(changes.mapValues { $0 ?? "-" }) { $1 }.filter { $0.value != "-" }
    var text = "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n"
    for (name, value) in fields { text += "\(name): \(value)\r\n" }
    // It ends at once when it is let in.
    return try ServedHost.parsed(try await served.raw(text + more + "\r\n" + Self.farewell))
  }

  /// A Close frame, masked with zeros, as text.
  private static let farewell = "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}"

  @Test func theAnswerIsTheStandards() async throws {
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker()) { served in
      let probe = try Probe(served.port)
      await probe.send(Probe.handshake("Sec-WebSocket-Protocol: other, trigger-host.v1"))
      let head = await probe.head().lowercased()
      // RFC 6455, section 1.3.
      #expect(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "\(head)")
      #expect(head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"), "\(head)")
      #expect(head.contains("sec-websocket-protocol: trigger-host.v1\r\n"), "\(head)")
      #expect(!head.contains("sec-websocket-extensions"), "\(head)")
      let plain = try Probe(served.port)
      await plain.send(Probe.handshake("Sec-WebSocket-Extensions: permessage-deflate"))
      let answer = await plain.head().lowercased()
      #expect(answer.hasPrefix("http/1.1 101 ") && !answer.contains("sec-websocket-protocol"), "\(answer)")
      #expect(!answer.contains("sec-websocket-extensions"), "\(answer)")
    }
  }

  @Test func brokenHandshakesAreRefused() async throws {
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker()) { served in
      for (name, changes, status) in [
        ("no key", ["Sec-WebSocket-Key": nil], 400), ("a short key", ["Sec-WebSocket-Key": "c2hvcnQ="], 400),
        ("a key that is no base64", ["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ%=="], 400),
        ("no version", ["Sec-WebSocket-Version": nil], 400),
        ("an old version", ["Sec-WebSocket-Version": "8"], 426),
        ("two versions", ["Sec-WebSocket-Version": "13, 8"], 426),
        ("no Connection", ["Connection": "keep-alive"], 400), ("no Upgrade", ["Upgrade": nil], 426),
        ("another protocol", ["Upgrade": "h2c"], 426),
        ("other subprotocols", ["Sec-WebSocket-Protocol": "chat, superchat"], 400),
        ("a token alone", ["Sec-WebSocket-Protocol": "trigger-host.token.x"], 401),
        ("a body", ["Content-Length": "5"], 400),
      ] as [(String, [String: String?], Int)] {
        let more = name == "a body" ? "\r\nhello" : ""
        let answer = try await ask(served, changes, more: more)
        if name == "a token alone" { continue }
        #expect(answer.status == status, "\(name): \(answer)")
        let code = status == 426 ? "upgrade_required" : "bad_request"
        #expect(answer.body.contains(#""code":"\#(code)""#), "\(name): \(answer)")
        if status == 426 {
          let head = answer.head.lowercased()
          #expect(
            head.contains("upgrade: websocket") && head.contains("sec-websocket-version: 13"), "\(head)")
        }
      }
      #expect(try await ask(served, method: "POST").status == 405)
      #expect(try await ask(served, target: "/v1/sockets").status == 404)
      #expect(try await served.ask("GET", "/v1/ws").status == 426)
      #expect(try await served.ask("HEAD", "/v1/ws").status == 426)
      let old = try await served.raw(
        "GET /v1/ws HTTP/1.0\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
      #expect(try ServedHost.parsed(old).status == 426, "\(old)")
    }
    // A server without conversations has no such path.
    try await serving { served in
      let answer = try await ask(served)
      #expect(answer.status == 404)
    }
  }

  /// The module that a browser or Node loads; what it does is tested with a host that is killed, in
  /// `scripts/test-websocket`.
  @Test func theModuleIsServed() async throws {
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker()) { served in
      let answer = try await served.ask("GET", "/client.js")
      #expect(answer.status == 200 && answer.head.lowercased().contains("content-type: text/javascript"))
      #expect(answer.body.contains("export function connect("), "\(answer.body.prefix(200))")
    }
  }

  @Test func whoMayNotIsRefusedBefore() async throws {
    let keys = NSTemporaryDirectory() + "socket-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: keys, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: keys) }
    var options = ServerOptions()
    let files = TokenFiles(in: keys)
    options.tokens = files
    options.settings.origins = ["https://app.example"]
    let (token, secret) = try files.create(scopes: [.read], now: Timestamp(nanoseconds: SystemClock().now()))
    let notes = Echo.Notes()
    try await serving(ServedHost.scripts, options, conversations: Echo.maker(notes)) { served in
      #expect(try await ask(served).status == 401)
      let byField = ["Authorization": "Bearer \(secret)"]
      let byOffer = ["Sec-WebSocket-Protocol": "trigger-host.token.\(secret), trigger-host.v1"]
      for way in [byField, byOffer] {
        let answer = try await ask(served, way)
        #expect(answer.status == 101 && !answer.head.contains(secret), "\(answer)")
        #expect(
          try await ask(served, way.mapValues { $0.replacing(secret, with: secret + "x") }).status == 401)
        // RFC 6455, section 10.2: browsers ask nobody before they open one.
        #expect(try await ask(served, way.merging(["Origin": "https://evil.example"]) { $1 }).status == 403)
        #expect(try await ask(served, way.merging(["Origin": "https://app.example"]) { $1 }).status == 101)
        #expect(try await ask(served, way.merging(["Host": "evil.example"]) { $1 }).status == 400)
      }
      let both = byField.merging(byOffer) { $1 }
      #expect(try await ask(served, both).status == 101)
      let bare = try await ask(served, ["Sec-WebSocket-Protocol": "trigger-host.token.\(secret)"])
      #expect(bare.status == 400 && !bare.body.contains(secret), "\(bare)")
      // What is open with a token that is taken back is closed.
      let probe = try Probe(served.port)
      await probe.send(Probe.handshake("Authorization: Bearer \(secret)"))
      #expect(await probe.head().hasPrefix("HTTP/1.1 101 "))
      _ = try files.revoke(token.id, now: Timestamp(nanoseconds: SystemClock().now()))
      #expect(await probe.frame()?.code == 1008)
      await probe.send(Probe.close(1008))
      #expect(await probe.frame() == nil)
      #expect(notes.opened == notes.ended)
    }
  }

  /// A refusal of the conversation itself is one of HTTP.
  @Test func aConversationMayRefuse() async throws {
    try await serving(ServedHost.scripts, .patient, conversations: { _, _ in throw Problem(.stopping) }) {
      served in
      let answer = try await ask(served)
      #expect(answer.status == 503 && answer["code"] == "stopping", "\(answer)")
    }
  }

  /// Requests before the handshake are answered first, on the same connection.
  @Test func requestsMayComeBefore() async throws {
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker()) { served in
      let probe = try Probe(served.port)
      let request = Array("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
      await probe.send(request + request + Probe.handshake() + Probe.text("at once"))
      for _ in 0..<2 {
        let head = await probe.head()
        // Behind the body of the answer before it.
        #expect(head.contains("HTTP/1.1 200 "), "\(head)")
      }
      #expect(await probe.head().contains("101 Switching Protocols"))
      #expect(await probe.frame() == .text("at once"))
    }
  }

  /// What is no WebSocket goes on as HTTP, whatever it asks for.
  @Test func otherUpgradesAreAnsweredByHTTP() async throws {
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker()) { served in
      for upgrade in ["h2c", "websocket", "TLS/1.0"] {
        let answer = try await ask(served, ["Upgrade": upgrade], target: "/healthz")
        #expect(answer.status == 200, "\(answer)")
      }
    }
  }
}
