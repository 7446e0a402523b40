import Testing
import TriggerCore

import TriggerServer

@Suite(.timeLimit(.minutes(10))) struct SendTests {
  @Test func anEventIsCommittedWhenItIsAnswered() async throws {
    try await serving { served in
      let answer = try await served.ask("POST", "/v1/events/visit", #"{"page": "home"}"#)
      #expect(answer.status == 200, "\(answer)")
      #expect(
        answer.body.contains(#""results":[{"outcome":"committed","seq":1,"trigger":"visit"}]"#), "\(answer)")
      #expect(try served.host.coordinator.store("pages").get("home") == 1)

      let accepted = try await served.ask(
        "POST", "/v1/events/visit?wait=accepted&priority=high", #"{"page": "home"}"#)
      #expect(accepted.status == 202 && accepted["accepted"] == true, "\(accepted)")

      let unheard = try await served.ask("POST", "/v1/events/vist", "{}")
      #expect(unheard.status == 200 && unheard["results"] == .array([]), "\(unheard)")
      #expect(unheard.body.contains("visit"), "\(unheard)")
    }
  }

  @Test func aFailureIsAnOutcome() async throws {
    try await serving { served in
      let answer = try await served.ask("POST", "/v1/events/visit", "{}")
      #expect(answer.status == 200 && answer.body.contains(#""outcome":"failed""#), "\(answer)")
      #expect(answer.body.contains(#""code":"error""#), "\(answer)")
    }
  }

  @Test func aKeyIsTakenOnce() async throws {
    try await serving { served in
      let first = try await served.ask(
        "POST", "/v1/events/visit", #"{"page": "home"}"#, "Idempotency-Key: \"a\"")
      let again = try await served.ask("POST", "/v1/events/visit", #"{"page": "home"}"#, "Idempotency-Key: a")
      #expect(first.status == 200 && again.status == 200 && first.body == again.body, "\(first) \(again)")
      #expect(try served.host.coordinator.store("pages").get("home") == 1)
      let other = try await served.ask("POST", "/v1/events/visit", #"{"page": "x"}"#, "Idempotency-Key: a")
      #expect(other.status == 422 && other["code"] == "key_reused", "\(other)")
      #expect(other["type"] == "/problems/key-reused")
    }
  }

  @Test(arguments: [
    ("{", "bad_json"), (#"{"a": 1, "a": 2}"#, "duplicate_key"), ("{\"a\": 1e999}", "number_range"),
    ("123456789012345678901", "number_range"), (#""\ud800""#, "bad_utf8"),
    (String(repeating: "[", count: 100_000), "too_deep"), ("{} {}", "bad_json"),
  ]) func badJSONIsRefused(_ body: String, _ reason: String) async throws {
    try await serving { served in
      let answer = try await served.ask("POST", "/v1/events/visit", body)
      #expect(answer.status == 400 && answer["code"] == "bad_json", "\(answer)")
      #expect(answer["reason"] == .string(reason), "\(answer)")
      #expect(served.host.coordinator.stats.currentSeq == 0)
    }
  }

  @Test func refusalsAreProblemDocuments() async throws {
    var options = ServerOptions()
    options.settings.limits.bodyBytes = 100
    try await serving(ServedHost.scripts, options) { served in
      func expect(_ answer: ServedHost.Answer, _ status: Int, _ code: String, line: Int = #line) {
        #expect(answer.status == status && answer["code"] == .string(code), "line \(line): \(answer)")
        #expect(answer.head.contains("application/problem+json"), "line \(line): \(answer)")
      }
      expect(try await served.ask("GET", "/nothing"), 404, "not_found")
      expect(try await served.ask("GET", "/v1/events/../../etc/passwd"), 405, "method_not_allowed")
      expect(try await served.ask("GET", "/../etc/passwd"), 404, "not_found")
      let method = try await served.ask("DELETE", "/v1/events/visit")
      expect(method, 405, "method_not_allowed")
      #expect(method.head.contains("Allow: POST"), "\(method)")
      // Nothing of the head says what the method is but its first word.
      expect(
        try await served.ask("GET", "/v1/events/visit", "", "X-HTTP-Method-Override: POST"), 405,
        "method_not_allowed")
      expect(
        try await served.ask(
          "POST", "/v1/events/visit", "page=home", type: "application/x-www-form-urlencoded"), 415,
        "unsupported_media_type")
      expect(
        try await served.ask("POST", "/v1/events/visit", String(repeating: " ", count: 101)), 413, "too_large"
      )
      expect(try await served.ask("POST", "/v1/events/visit?wiat=accepted", "{}"), 400, "bad_query")
      expect(try await served.ask("POST", "/v1/events/visit?wait=no", "{}"), 400, "bad_query")
      expect(try await served.ask("POST", "/v1/events/%ff", "{}"), 400, "bad_request")
      #expect(try await served.ask("GET", "/hello").body == "hello")
      #expect(try await served.ask("GET", "/problems/not-found").status == 200)
    }
  }

  @Test func linesAreAnsweredOneByOne() async throws {
    try await serving { served in
      let lines = (1...300).map { "{\"page\": \"p\($0 % 3)\"}" } + ["{", ""] + ["{\"page\": \"p0\"}"]
      let answer = try await served.ask(
        "POST", "/v1/events/visit", lines.joined(separator: "\n"), type: "application/x-ndjson")
      let answers = answer.body.split(separator: "\n").map { try? JSON.parse(String($0)) }
      #expect(answer.status == 200 && answers.count == 302, "\(answer.head) \(answers.count)")
      #expect(answer.body.contains(#"{"code":"bad_line","error":"line 301: "#), "\(answer.body.suffix(300))")
      #expect(try served.host.coordinator.store("pages").get("p0") == 101)

      let named = """
        {"event": "visit", "payload": {"page": "n"}, "id": "one", "key": "k"}
        {"event": "visit", "payload": {"page": "n"}, "id": "two", "key": "k", "wait": "accepted"}
        {"event": "visit", "payloads": {}, "id": "three"}
        """
      let mixed = try await served.ask("POST", "/v1/events", named, type: "application/jsonl")
      #expect(mixed.body.split(separator: "\n").count == 3, "\(mixed)")
      #expect(mixed.body.contains(#""id":"three""#) && mixed.body.contains(#""code":"bad_line""#), "\(mixed)")
      #expect(try served.host.coordinator.store("pages").get("n") == 1)
    }
  }

  /// The client reads nothing before it has sent all, and the server keeps only so much.
  @Test func noMoreIsReadThanCanBeAnswered() async throws {
    var options = ServerOptions()
    options.settings.limits.unanswered = 8
    try await serving(ServedHost.scripts, options) { served in
      let body = String(repeating: "{\"page\": \"p\"}\n", count: 2000)
      let answer = try await served.ask(
        "POST", "/v1/events/visit?wait=accepted", body, type: "application/jsonl")
      #expect(answer.body.split(separator: "\n").count == 2000)
    }
  }

  @Test func cloudEventsAreTakenInThreeForms() async throws {
    try await serving { served in
      let event =
        #"{"specversion":"1.0","type":"order.placed","source":"/shop","id":"17","data":{"total":12.5}}"#
      let structured = try await served.ask(
        "POST", "/v1/events", event, type: "application/cloudevents+json; charset=utf-8")
      #expect(structured.status == 200 && structured.body.contains("committed"), "\(structured)")
      let orders = try served.host.coordinator.store("orders")
      #expect(try orders.get("17") == JSON.parse(event))
      // Source and id are the key.
      let binary = try await served.ask(
        "POST", "/v1/events", #"{"total":12.5}"#, "ce-specversion: 1.0", "ce-type: order.placed",
        "ce-source: /shop", "ce-id: 18", "ce-subject: a%20b")
      #expect(binary.status == 200, "\(binary)")
      let kept = try orders.get("18")
      #expect(
        kept == [
          "specversion": "1.0", "type": "order.placed", "source": "/shop", "id": "18",
          "subject": "a b", "datacontenttype": "application/json", "data": ["total": 12.5],
        ])
      let batch = try await served.ask(
        "POST", "/v1/events", "[\(event),\(event.replacing("17", with: "19"))]",
        type: "application/cloudevents-batch+json")
      #expect(batch.status == 200 && batch.json != .null, "\(batch)")
      #expect(served.host.coordinator.stats.committed == 3)
      let bad = try await served.ask(
        "POST", "/v1/events", #"{"specversion":"1.0","type":"x","id":"1"}"#,
        type: "application/cloudevents+json")
      #expect(bad.status == 400 && bad["code"] == "bad_event", "\(bad)")
    }
  }
}
