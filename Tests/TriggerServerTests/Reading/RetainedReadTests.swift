import Foundation
import NIOCore
import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerRuntime
@testable import TriggerServer

/// What is not there any more, what comes late, and what is too much at once.
@Suite(.timeLimit(.minutes(10))) struct RetainedReadTests {
  private static let scripts = [
    "put": """
    return { on = { event = "put" }, execute = function(event, ctx)
      return { ctx:store("things"):put(event.key, event.key) }
    end }
    """
  ]

  private func put(_ served: ServedHost, _ key: String) async throws {
    let body = try JSON.text(["key": .string(key)])
    let answer = try await served.ask("POST", "/v1/events/put", body)
    #expect(answer.status == 200 && answer.body.contains("committed"), "\(answer)")
  }

  /// Each is a block of its own, as each was waited for.
  private func letGo(_ served: ServedHost, through seq: Int64) throws {
    try #require(served.host.storage).log.perform([.dropBlocks(through: seq)])
  }

  @Test func whatWasLetGoIsGone() async throws {
    try await serving(Self.scripts) { served in
      for key in ["a", "b", "c"] { try await put(served, key) }
      // What is read as of a seq begins with one.
      try served.host.storage?.checkpoint()
      try await put(served, "d")
      try letGo(served, through: 2)
      for path in ["/v1/log?from=2", "/v1/executions?from=1", "/v1/executions/2", "/v1/stores/things?seq=1"] {
        let gone = try await served.ask("GET", path)
        #expect(gone.status == 410 && gone["code"] == "seq_gone", "\(path): \(gone)")
      }
      let first = try await served.ask("GET", "/v1/log?from=1")
      #expect(first["first"] == 3, "\(first)")
      let stream = try await served.ask(
        "GET", "/v1/log?limit=1", "", "Accept: text/event-stream", "Last-Event-ID: 1")
      #expect(stream.status == 410 && stream["code"] == "seq_gone", "\(stream)")
      let rest = try await served.ask("GET", "/v1/log")
      #expect(rest.status == 200 && rest.body.split(separator: "\n").count == 2, "\(rest)")
      // What is there now is there whatever the log has.
      #expect(try await served.ask("GET", "/v1/stores/things/a").status == 200)
    }
  }

  /// Records go while a reader is behind them: it is told which.
  @Test func aGapIsTold() async throws {
    try await serving(Self.scripts) { served in
      for key in ["a", "b", "c", "d"] { try await put(served, key) }
      try letGo(served, through: 3)
      let page = try await LogPages().page(after: 1, through: 4, served.server.logReader)
      #expect(page.lost == 2..<4 && page.entries.map(\.record.seq) == [4] && page.end == 4)
      var (buffer, left) = (ByteBuffer(), Int64(1))
      let told = page.write(to: &buffer, try RecordFilter(Query(nil, known: [])), &left)
      let text = String(buffer: buffer)
      #expect(text.hasPrefix("event: gap\ndata: {\"first\":2,\"last\":3}\n\nid: 4\ndata: {"), "\(text)")
      #expect(told == 4 && left == 0 && text.hasSuffix("}\n\n"))
    }
  }

  @Test func aStreamThatIsSilentStaysAlive() async throws {
    var options = ServerOptions()
    options.heartbeat = .milliseconds(20)
    try await serving(Self.scripts, options) { served in
      try await put(served, "a")
      let request =
        "GET /v1/log?from=1&store=none HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
      // First where it is: what was left out need not be looked at again.
      let text = try await served.raw(request, until: "\n:\n\n")
      let events = try #require(text.components(separatedBy: "\r\n\r\n").last)
      #expect(
        events.contains(": 0\n\n") && events.contains("id: 1\n\n") && !events.contains("data:"), "\(text)")
    }
  }

  /// How a request that takes no time ends; who is refused lets the thread go.
  private static func end(_ threads: ReadingThreads, _ mayGo: DispatchSemaphore) async -> String {
    do { try await threads.run { _ in } } catch let problem as Problem {
      mayGo.signal()
      return "\(problem.code.rawValue) \(problem.headers[.retryAfter] ?? "")"
    } catch { return "\(error)" }
    return "done"
  }

  /// So many work, so many wait, and the next is told to come again.
  @Test func whatIsTooMuchIsRefused() async throws {
    let (isBusy, mayGo) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let store = MemoryLogStore(keeping: 1 << 20)
    let threads = ReadingThreads("test", count: 1, waiting: 1) { store.openSource() }
    async let first: Void = threads.run { _ in
      isBusy.signal()
      mayGo.wait()
    }
    await withCheckedContinuation { continuation in
      Thread {
        isBusy.wait()
        continuation.resume()
      }.start()
    }
    // Whichever comes second is refused; the other waits for the thread.
    async let one = Self.end(threads, mayGo)
    async let other = Self.end(threads, mayGo)
    let ends = await [one, other].sorted()
    try await first
    #expect(ends == ["busy 1", "done"])
    #expect(Problem(.busy).response.status == .serviceUnavailable)
    threads.close()
    await #expect(throws: Problem.self) { try await threads.run { _ in } }
  }

  /// Keys are any text: what has a meaning in a path, a query or in JSON has none in them.
  @Test func oddKeysComeOnceEach() async throws {
    let keys = [
      "a/b", "a//b", "a/../b", "%2F", "a%", "a b", "a+b", "a&limit=9", "a?x=1#y", "\u{1}\n\t\"\\", "é",
      "e\u{301}",
      "日本", "😀", "~", ".", "..",
    ]
    try await serving(Self.scripts) { served in
      for key in keys { try await put(served, key) }
      var (next, found): (String?, [String]) = ("/v1/stores/things?limit=2", [])
      while let path = next {
        let page = try await served.ask("GET", path)
        guard case .array(let items)? = page["keys"], page.status == 200 else {
          return #expect(Bool(false), "\(path): \(page)")
        }
        for item in items { if case .string(let key)? = item["key"] { found.append(key) } }
        next = if case .string(let path)? = page["next"] { path } else { nil }
      }
      let sorted = keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      #expect(found.map { Array($0.utf8) } == sorted.map { Array($0.utf8) })
      for key in keys {
        let value = try await served.ask("GET", "/v1/stores/things/\(Target.encoded(key))")
        #expect(value.status == 200 && value.json == .string(key), "\(key): \(value)")
        let page = try await served.ask("GET", "/v1/stores/things?prefix=\(Target.encoded(key))&limit=1")
        #expect(page["keys"].map { "\($0)".contains("version") } == true, "\(key): \(page)")
      }
    }
  }
}
