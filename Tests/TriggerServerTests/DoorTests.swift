import Foundation
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

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// A token with these scopes: its id, and the field that shows it.
    func token(_ scopes: Scope...) throws -> (id: TokenID, field: String) {
      let (token, text) = try files.create(scopes: scopes, now: Timestamp(nanoseconds: SystemClock().now()))
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
        try await served.ask("POST", "/v1/events/\(event)", Self.event, "X: y", field.first ?? "X: z")
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
      #expect(refused.status == 429 && refused.head.lowercased().contains("retry-after: 1"), "\(refused)")
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
        status = try await served.ask("POST", "/v1/events/visit", Self.event, admin).status
      }
      #expect(status == 401)
    }
  }
}
