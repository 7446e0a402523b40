import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost
import TriggerRuntime

@testable import TriggerServer

@Suite(.timeLimit(.minutes(10))) struct ActionTests {
  static let scripts = [
    "pay": """
    return { on = { event = "order" }, execute = function(event, ctx)
      if not ctx:store("bank"):get("open") then error("the bank is closed") end
      return { ctx:store("paid"):put(event.item, true), ctx:emit("paid", { item = event.item }) }
    end }
    """,
    "ship": """
    return { on = { event = "paid" }, execute = function(event, ctx)
      return { ctx:store("shipped"):add(event.item, 1) }
    end }
    """,
    "bank": """
    return { on = { event = "open" }, execute = function(event, ctx) return { ctx:store("bank"):put("open", true) } end }
    """,
  ]

  private func seqs(_ value: Value?) -> [Int64] {
    guard case .array(let items)? = value else { return [] }
    return items.compactMap { item in
      if case .int(let seq) = item { return seq }
      return if case .int(let seq)? = item["seq"] { seq } else { nil }
    }
  }

  private func order(_ served: ServedHost, _ item: String) async throws -> ServedHost.Answer {
    try await served.ask(
      "POST", "/v1/events/order", #"{"item": "\#(item)"}"#, "Idempotency-Key: \(item)")
  }

  @Test func whatIsPutBackRunsAtOnceAndOnce() async throws {
    try await serving(Self.scripts) { served in
      for item in ["cake", "tea", "pie"] { _ = try await order(served, item) }
      let dead = try await served.ask("GET", "/v1/dead")
      #expect(seqs(dead["dead"]) == [1, 2, 3], "\(dead)")
      _ = try await served.ask("POST", "/v1/events/open")
      let one = try await served.ask("POST", "/v1/dead/1/requeue")
      #expect(one.status == 200 && one["action"] == "requeued" && seqs(one["seqs"]) == [1], "\(one)")
      let again = try await served.ask("POST", "/v1/dead/1/requeue")
      #expect(again.status == 404 && again["code"] == "not_dead" && again["seq"] == 1, "\(again)")
      // All or none.
      let some = try await served.ask("POST", "/v1/dead/requeue", #"{"seqs": [2, 1]}"#)
      #expect(some["code"] == "not_dead" && some["seq"] == 1, "\(some)")
      #expect(seqs(try await served.ask("GET", "/v1/dead")["dead"]) == [2, 3])
      let rest = try await served.ask("POST", "/v1/dead/requeue", #"{"all": true, "trigger": "pay"}"#)
      #expect(seqs(rest["seqs"]) == [2, 3], "\(rest)")
      await served.host.queue.waitUntilIdle()
      let shipped = try await served.ask("GET", "/v1/stores/shipped")
      #expect(
        shipped.body.contains(#"{"key":"cake","value":1,"#)
          && shipped.body.contains(#""key":"pie","value":1"#),
        "\(shipped)")
      // The log says why, and whoever sends the key again learns what came of it.
      let lines = try await served.ask("GET", "/v1/log?trigger=pay&outcome=committed")
      #expect(
        lines.body.split(separator: "\n").count == 3 && lines.body.contains(#""retry_of":1"#), "\(lines)")
      let known = try await order(served, "cake")
      #expect(known.body.contains("committed"), "\(known)")
      let none = try await served.ask("POST", "/v1/dead/requeue", #"{"all": true}"#)
      #expect(none.status == 200 && seqs(none["seqs"]) == [], "\(none)")
    }
  }

  /// Durable before it runs: the next host does what this one had no time for, and nothing twice.
  @Test func whatIsPutBackOutlivesTheHost() async throws {
    let served = try await ServedHost(Self.scripts)
    _ = try await order(served, "cake")
    _ = try await served.ask("POST", "/v1/events/open")
    _ = try await served.ask("POST", "/v1/dead/1/requeue")
    await served.host.queue.waitUntilIdle()
    let seq = served.host.coordinator.stats.currentSeq
    try await served.stop()
    let next = try await OpenedHost(HostPlaces(directory: served.directory)).recover().start()
    await next.queue.waitUntilIdle()
    #expect(next.coordinator.stats.currentSeq == seq)
    await next.stop()
  }

  @Test func whatIsDroppedIsNoLongerListed() async throws {
    try await serving(Self.scripts) { served in
      for item in ["cake", "tea"] { _ = try await order(served, item) }
      let one = try await served.ask("POST", "/v1/dead/2/drop")
      #expect(one["action"] == "dropped" && seqs(one["seqs"]) == [2], "\(one)")
      #expect(try await served.ask("POST", "/v1/dead/2/requeue")["code"] == "not_dead")
      let rest = try await served.ask("POST", "/v1/dead/drop", #"{"all": true}"#)
      #expect(seqs(rest["seqs"]) == [1], "\(rest)")
      #expect(seqs(try await served.ask("GET", "/v1/dead")["dead"]) == [])
    }
  }

  @Test func aBodyThatSaysNothingIsRefused() async throws {
    try await serving(Self.scripts) { served in
      for body in [
        "[]", "{}", #"{"seqs": []}"#, #"{"seqs": [0]}"#, #"{"seqs": [1.5]}"#, #"{"seqs": [1], "all": true}"#,
        #"{"all": false}"#, #"{"trigger": "pay"}"#, #"{"all": true, "trigger": 1}"#,
        #"{"all": true, "x": 1}"#,
      ] {
        let answer = try await served.ask("POST", "/v1/dead/drop", body)
        #expect(answer.status == 400 && answer["code"] == "bad_body", "\(body): \(answer)")
      }
      #expect(try await served.ask("POST", "/v1/dead/drop")["code"] == "bad_json")
      #expect(try await served.ask("POST", "/v1/dead/drop", "{}", type: "text/plain").status == 415)
      #expect(try await served.ask("POST", "/v1/dead/x/drop")["code"] == "not_dead")
      #expect(try await served.ask("POST", "/v1/dead/1/requeue?x=1")["code"] == "bad_query")
    }
  }

  @Test func scriptsGoBackToATree() async throws {
    try await serving(Self.scripts) { served in
      let path = served.directory + "/triggers/pay.lua"
      let old = try String(contentsOfFile: path, encoding: .utf8)
      let new = old.replacing("the bank is closed", with: "come back tomorrow")
      try new.write(toFile: path, atomically: true, encoding: .utf8)
      // It has never run.
      let refused = try await served.ask("POST", "/v1/scripts/1/rollback")
      #expect(refused.status == 409 && refused["code"] == "scripts_edited", "\(refused)")
      #expect(refused["files"] == ["pay.lua"], "\(refused)")
      #expect(try String(contentsOfFile: path, encoding: .utf8) == new)
      let answer = try await served.ask("POST", "/v1/scripts/1/rollback?force=true")
      #expect(answer.status == 200 && answer["written"] == ["pay.lua"] && answer["tree"] == 1, "\(answer)")
      #expect(try String(contentsOfFile: path, encoding: .utf8) == old)
      #expect(try await served.ask("POST", "/v1/scripts/7/rollback")["code"] == "no_tree")
      #expect(try await served.ask("POST", "/v1/scripts/x/rollback")["code"] == "no_tree")
    }
  }

  /// Nobody follows the files of this host, and what was rolled back runs all the same.
  @Test func aRollbackComesIntoForce() async throws {
    try await serving(Self.scripts) { served in
      func error() async throws -> String {
        try await served.ask("POST", "/v1/events/order", #"{"item": "x"}"#).body
      }
      let path = served.directory + "/triggers/pay.lua"
      let old = try String(contentsOfFile: path, encoding: .utf8)
      try old.replacing("is closed", with: "sleeps").write(toFile: path, atomically: true, encoding: .utf8)
      served.host.reload()
      // Each takes its place in the order.
      try await poll(for: "the edit") { served.host.coordinator.stats.committed == 1 }
      #expect(try await error().contains("the bank sleeps"))
      let answer = try await served.ask("POST", "/v1/scripts/1/rollback")
      #expect(answer["written"] == ["pay.lua"], "\(answer)")
      try await poll(for: "the rollback") { served.host.coordinator.stats.committed == 2 }
      #expect(try await error().contains("the bank is closed"))
      let trees = try await served.ask("GET", "/v1/scripts")
      #expect(trees.body.contains(#""tree":3"#), "\(trees)")
    }
  }

  @Test func whoMayOnlyReadActsOnNothing() async throws {
    let path = NSTemporaryDirectory() + "act-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    var options = ServerOptions()
    options.tokens = TokenFiles(in: path)
    let now = Timestamp(nanoseconds: SystemClock().now())
    let reader = try options.tokens!.create(
      scopes: [.read, try Scope(parsing: "events:*")], now: now
    ).1
    let admin = try options.tokens!.create(scopes: [.admin], now: now).1
    try await serving(Self.scripts, options) { served in
      for path in ["dead/1/requeue", "dead/requeue", "dead/1/drop", "dead/drop", "scripts/1/rollback"] {
        let refused = try await served.ask("POST", "/v1/" + path, "{}", "Authorization: Bearer \(reader)")
        #expect(refused.status == 403 && refused["code"] == "forbidden", "\(path): \(refused)")
        let foreign = try await served.ask("POST", "/v1/" + path, "{}", "Origin: http://evil.example")
        #expect([401, 403].contains(foreign.status), "\(path): \(foreign)")
        let answer = try await served.ask("POST", "/v1/" + path, "{}", "Authorization: Bearer \(admin)")
        #expect([200, 400, 404].contains(answer.status), "\(path): \(answer)")
      }
    }
  }
}
