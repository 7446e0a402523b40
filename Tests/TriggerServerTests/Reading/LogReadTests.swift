import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerServer

@Suite(.timeLimit(.minutes(10))) struct LogReadTests {
  static let scripts = [
    "first": """
    return { on = { event = "first" }, execute = function(event, ctx)
      ctx:log("info", "seen " .. tostring(event.n), { n = event.n })
      local old = ctx:store("things"):get("n") or 0
      return { ctx:store("things"):put("n", old + event.n), ctx:emit("second", { n = event.n }),
        ctx:broadcast("news", { n = event.n }) }
    end }
    """,
    "second": """
    return { on = { event = "second" }, execute = function(event, ctx)
      if event.n > 9 then error("too much") end
      return { ctx:store("others"):put("k" .. event.n, event.n) }
    end }
    """,
  ]

  /// What comes of it is decided when this returns.
  private func first(_ served: ServedHost, _ n: Int) async throws {
    let answer = try await served.ask("POST", "/v1/events/first", #"{"n": \#(n)}"#)
    #expect(answer.status == 200 && answer.body.contains("committed"), "\(answer)")
    await served.host.queue.waitUntilIdle()
  }

  private func seqs(_ value: Value?) -> [Int64] {
    guard case .array(let items)? = value else { return [] }
    return items.compactMap { if case .int(let seq)? = $0["seq"] { seq } else { nil } }
  }

  @Test func executionsAreListedPageByPage() async throws {
    try await serving(Self.scripts) { served in
      for n in [1, 2, 10] { try await first(served, n) }
      let newest = try await served.ask("GET", "/v1/executions?limit=4")
      #expect(seqs(newest["executions"]) == [6, 5, 4, 3], "\(newest)")
      guard case .string(let next)? = newest["next"] else { return #expect(Bool(false), "\(newest)") }
      let older = try await served.ask("GET", next)
      #expect(seqs(older["executions"]) == [2, 1] && older["next"] == nil, "\(older)")
      func list(_ query: String) async throws -> [Int64] {
        seqs(try await served.ask("GET", "/v1/executions?\(query)")["executions"])
      }
      #expect(try await list("from=3&limit=2") == [3, 4])
      #expect(try await list("outcome=failed") == [6])
      #expect(try await list("trigger=first") == [5, 3, 1])
      #expect(try await list("store=others&key=k2") == [4])
      #expect(try await list("store=others&prefix=k") == [4, 2])
      #expect(try await list("topic=news&from=2") == [3, 5])
      #expect(try await served.ask("GET", "/v1/executions?key=k").status == 400)
      #expect(try await served.ask("GET", "/v1/executions?outcome=good").status == 400)
    }
  }

  @Test func anExecutionTellsItsCauseAndWhatCameOfIt() async throws {
    try await serving(Self.scripts) { served in
      try await first(served, 3)
      try await first(served, 4)
      let one = try await served.ask("GET", "/v1/executions/3?trace=true")
      #expect(one.status == 200 && seqs(one["consequences"]) == [4], "\(one)")
      #expect(one["trigger"] == "first" && one["conflicts"] == 0 && one["attempts"] == 1, "\(one)")
      let trace = try #require(one["trace"])
      #expect(trace["outcome"] == "committed" && trace["intents"] == one["intents"], "\(one)")
      #expect(
        one.body.contains(#""message":"seen 4""#) && "\(trace["reads"] as Any)".contains("things"), "\(one)")
      let caused = try await served.ask("GET", "/v1/executions/4")
      #expect(caused["cause"] == ["seq": 3, "index": 0], "\(caused)")
      let ahead = try await served.ask("GET", "/v1/executions/5")
      #expect(ahead.status == 404 && ahead["code"] == "no_seq", "\(ahead)")
      #expect(try await served.ask("GET", "/v1/executions/x").status == 404)
    }
  }

  @Test func theLogIsJSONLines() async throws {
    try await serving(Self.scripts) { served in
      for n in 1...3 { try await first(served, n) }
      func lines(_ query: String) async throws -> [Int64] {
        let answer = try await served.ask("GET", "/v1/log\(query)")
        #expect(answer.status == 200 && answer.head.contains("application/jsonl"), "\(answer)")
        return seqs(.array(try answer.body.split(separator: "\n").map { try JSON.parse(String($0)) }))
      }
      #expect(try await lines("") == [1, 2, 3, 4, 5, 6])
      #expect(try await lines("?from=5") == [5, 6])
      #expect(try await lines("?from=2&limit=2") == [2, 3])
      #expect(try await lines("?trigger=second") == [2, 4, 6])
      #expect(try await lines("?from=7") == [])
      #expect(try await served.ask("GET", "/v1/log?from=8")["code"] == "seq_ahead")
    }
  }

  private func ids(_ answer: ServedHost.Answer) -> [Int64] {
    answer.body.split(separator: "\n").compactMap { $0.hasPrefix("id: ") ? Int64($0.dropFirst(4)) : nil }
  }

  @Test func eventsGoOnWhereTheReaderWas() async throws {
    try await serving(Self.scripts) { served in
      let accept = "Accept: text/event-stream"
      try await first(served, 1)
      async let following = served.ask("GET", "/v1/log?from=2&limit=4", "", accept)
      try await first(served, 2)
      try await first(served, 3)
      let stream = try await following
      #expect(stream.status == 200 && stream.head.contains("text/event-stream"), "\(stream)")
      #expect(ids(stream) == [2, 3, 4, 5], "\(stream)")
      let again = try await served.ask("GET", "/v1/log?from=1&limit=2", "", accept, "Last-Event-ID: 4")
      #expect(ids(again) == [5, 6], "\(again)")
      let some = try await served.ask("GET", "/v1/log?from=1&limit=2&store=others", "", accept)
      #expect(ids(some) == [2, 4], "\(some)")
      let ahead = try await served.ask("GET", "/v1/log", "", accept, "Last-Event-ID: 7")
      #expect(ahead.status == 400 && ahead["code"] == "seq_ahead", "\(ahead)")
      #expect(try await served.ask("GET", "/v1/log", "", accept, "Last-Event-ID: x").status == 400)
    }
  }

  /// The end of the server ends it at once, with its last chunk: who reads knows that it is whole.
  @Test func aStreamEndsWithTheServer() async throws {
    let served = try await ServedHost(Self.scripts)
    try await first(served, 1)
    async let following = served.raw(
      "GET /v1/log?from=1 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n"
    )
    // The stream, and its wait for what comes: what was there is written.
    try await poll(for: "the stream") { served.server.streamCount > 1 }
    try await served.stop()
    let text = try await following
    #expect(text.contains("id: 2") && text.hasSuffix("0\r\n\r\n"), "\(text)")
  }

  @Test func statisticsAndListsAreThere() async throws {
    try await serving(Self.scripts) { served in
      for n in [1, 10] { try await first(served, n) }
      let stats = try await served.ask("GET", "/v1/stats")
      #expect(stats["committed"] == 3 && stats["failed"] == 1 && stats["durable_seq"] == 4, "\(stats)")
      #expect(stats["failures"] == ["error": 1] && stats["queued"] == 0, "\(stats)")
      #expect(try await served.ask("GET", "/v1/none").status == 404)
      let server = try #require(try await served.ask("GET", "/v1/stats")["server"])
      #expect(server["requests"] == 5 && server["refused"] == ["not_found": 1], "\(server)")
      #expect(server["connections_opened"] == 5 && server["connections_refused"] == 0, "\(server)")
      let dead = try await served.ask("GET", "/v1/dead")
      #expect(seqs(dead["dead"]) == [4], "\(dead)")
      let trees = try await served.ask("GET", "/v1/scripts")
      #expect(trees.status == 200 && trees.body.contains("first.lua"), "\(trees)")
      let tree = try await served.ask("GET", "/v1/scripts/1")
      #expect(tree.status == 200 && tree.body.contains("too much"), "\(tree)")
      #expect(try await served.ask("GET", "/v1/scripts/9")["code"] == "no_tree")
      #expect(try await served.ask("GET", "/v1/schedules")["schedules"] == .array([]))
    }
  }

  /// Each route is described, and nothing else is.
  @Test func everyRouteIsDescribed() async throws {
    try await serving(Self.scripts) { served in
      let answer = try await served.ask("GET", "/v1/openapi.json")
      guard case .map(let paths)? = answer["paths"] else { return #expect(Bool(false), "\(answer)") }
      var described: Set<String> = []
      for (path, item) in paths {
        guard case .map(let methods) = item else { continue }
        for (method, operation) in methods {
          described.insert("\(method.uppercased()) \(path)")
          // What is in braces is a parameter.
          let names = path.split(separator: "/").filter { $0.hasPrefix("{") }.map {
            $0.dropFirst().dropLast()
          }
          guard case .array(let parameters) = operation["parameters"] ?? .array([]) else { continue }
          let given = parameters.filter { $0["in"] == "path" }.map { $0["name"] }
          #expect(given == names.map { .string(String($0)) }, "\(method) \(path)")
          #expect(operation["responses"] != nil && operation["summary"] != nil, "\(method) \(path)")
        }
      }
      let routes = served.server.routes.map { "\($0.method) \($0.path.replacing("+}", with: "}"))" }
      #expect(described == Set(routes) && routes.count == described.count)
    }
  }

  @Test func whoMayOnlySendReadsNothing() async throws {
    let path = NSTemporaryDirectory() + "read-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    var options = ServerOptions()
    options.tokens = TokenFiles(in: path)
    let now = Timestamp(nanoseconds: SystemClock().now())
    let sender = try options.tokens!.create(scopes: [try Scope(parsing: "events:*")], now: now).1
    let reader = try options.tokens!.create(scopes: [.read], now: now).1
    try await serving(Self.scripts, options) { served in
      let open = ["/healthz", "/readyz", "/problems/{name}", "/v1/openapi.json"]
      for route in served.server.routes where route.method == "GET" && !open.contains(route.path) {
        let path = route.path.split(separator: "/").map { $0.hasPrefix("{") ? "1" : $0 }.joined(
          separator: "/")
        let refused = try await served.ask("GET", "/" + path, "", "Authorization: Bearer \(sender)")
        #expect(refused.status == 403 && refused["code"] == "forbidden", "\(path): \(refused)")
        let answer = try await served.ask("GET", "/" + path, "", "Authorization: Bearer \(reader)")
        #expect([200, 404].contains(answer.status), "\(path): \(answer)")
      }
    }
  }
}
