import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerServer

@Suite(.timeLimit(.minutes(10))) struct StoreReadTests {
  static let scripts = [
    "put": """
    return { on = { event = "put" }, execute = function(event, ctx)
      return { ctx:store("things"):put(event.key, event.value) }
    end }
    """,
    "odd": """
    return { on = { event = "odd" }, execute = function(event, ctx)
      return { ctx:store("odd"):put("bytes", "\\xff\\x00a"), ctx:store("odd"):put("nan", 0 / 0) }
    end }
    """,
  ]

  private func put(_ served: ServedHost, _ key: String, _ value: Int) async throws {
    let answer = try await served.ask("POST", "/v1/events/put", #"{"key": "\#(key)", "value": \#(value)}"#)
    #expect(answer.status == 200 && answer.body.contains("committed"), "\(answer)")
  }

  @Test func aValueIsBareAndItsVersionIsItsTag() async throws {
    try await serving(Self.scripts) { served in
      try await put(served, "a/b c", 7)
      let path = "/v1/stores/things/a/b%20c"
      let value = try await served.ask("GET", path)
      #expect(value.status == 200 && value.body == "7", "\(value)")
      #expect(value.head.contains("ETag: \"1\"") && value.head.contains("application/json"), "\(value.head)")
      for tags in ["\"1\"", "W/\"1\"", "\"9\", \"1\"", "*"] {
        let same = try await served.ask("GET", path, "", "If-None-Match: \(tags)")
        #expect(same.status == 304 && same.body.isEmpty, "\(tags): \(same)")
      }
      #expect(try await served.ask("GET", path, "", "If-None-Match: \"9\"").status == 200)
      let head = try await served.ask("HEAD", path)
      #expect(head.status == 200 && head.body.isEmpty && head.head.contains("ETag: \"1\""), "\(head)")
      try await put(served, "a/b c", 8)
      let newer = try await served.ask("GET", path, "", "If-None-Match: \"1\"")
      #expect(newer.status == 200 && newer.body == "8", "\(newer)")
      #expect(try await served.ask("GET", "/v1/stores/things/x")["code"] == "no_key")
      let unknown = try await served.ask("GET", "/v1/stores/thing/x")
      #expect(unknown.status == 404 && unknown["code"] == "no_store", "\(unknown)")
      #expect(unknown.body.contains("things"), "\(unknown)")
      // Who asks for names makes no stores.
      #expect(served.host.coordinator.storeNames == ["things"])
    }
  }

  @Test func whatHasNoJSONFormIsSaid() async throws {
    try await serving(Self.scripts) { served in
      _ = try await served.ask("POST", "/v1/events/odd", "{}")
      let bytes = try await served.ask("GET", "/v1/stores/odd/bytes")
      #expect(bytes.status == 200 && bytes.head.contains("application/octet-stream"), "\(bytes)")
      let number = try await served.ask("GET", "/v1/stores/odd/nan")
      #expect(number.status == 406 && number["code"] == "no_json_form", "\(number)")
      let page = try await served.ask("GET", "/v1/stores/odd")
      #expect(page.body.contains(#""value_text":"NaN""#), "\(page)")
    }
  }

  @Test func pagesGoOnWhileOthersCommit() async throws {
    try await serving(Self.scripts) { served in
      for number in 10..<35 { try await put(served, "k\(number)", number) }
      try await put(served, "other", 0)
      var (path, keys, pages) = ("/v1/stores/things?prefix=k&limit=10&values=false", [String](), 0)
      while true {
        let page = try await served.ask("GET", path)
        guard case .array(let items)? = page["keys"] else { return #expect(Bool(false), "\(page)") }
        keys += items.compactMap { if case .string(let key)? = $0["key"] { key } else { nil } }
        #expect(items.allSatisfy { $0["value"] == nil } && page["seq"] == .int(Int64(26 + 2 * pages)))
        pages += 1
        // Before and behind what was read.
        try await put(served, "k10a", 1)
        try await put(served, "k2\(pages)a", 1)
        guard case .string(let next)? = page["next"] else { break }
        path = next
      }
      // What came behind the page that was read is there, and what came before it is not.
      #expect(pages == 3 && keys == (10..<35).map { "k\($0)" }.inserting("k21a"), "\(keys)")
    }
  }

  @Test func anyPastStateCanBeRead() async throws {
    try await serving(Self.scripts) { served in
      for number in 1...5 { try await put(served, "n", number) }
      for seq in [3, 3, 5, 1] {
        let value = try await served.ask("GET", "/v1/stores/things/n?seq=\(seq)")
        #expect(value.body == "\(seq)" && value.head.contains("ETag: \"\(seq)\""), "\(value)")
      }
      let page = try await served.ask("GET", "/v1/stores/things?seq=2")
      #expect(page["seq"] == 2 && page.body.contains(#""value":2"#), "\(page)")
      #expect(try await served.ask("GET", "/v1/stores?seq=2")["seq"] == 2)
      let later = try await served.ask("GET", "/v1/stores/things/n?seq=6")
      #expect(later.status == 400 && later["code"] == "seq_ahead", "\(later)")
      #expect(try await served.ask("GET", "/v1/stores/things/n?seq=0").status == 400)
      #expect(try await served.ask("GET", "/v1/stores/things/n?seq=1&min_seq=1").status == 400)
    }
  }

  @Test func aReaderWaitsForASeq() async throws {
    try await serving(Self.scripts) { served in
      try await put(served, "n", 1)
      async let waiting = served.ask("GET", "/v1/stores/things/n?min_seq=2")
      try await put(served, "n", 2)
      let answer = try await waiting
      #expect(answer.status == 200 && answer.body == "2", "\(answer)")
      // One that never comes ends with the server.
      async let never = served.ask("GET", "/v1/stores/things/n?min_seq=99")
      try await poll(for: "the reader") { served.server.streamCount > 0 }
      served.server.beginEnd()
      let refused = try await never
      #expect(refused.status == 503 && refused["code"] == "not_yet", "\(refused)")
    }
  }
}

extension [String] {
  fileprivate func inserting(_ more: String...) -> [String] { (self + more).sorted() }
}
