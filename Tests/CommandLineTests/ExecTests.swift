import Foundation
import Testing

/// `exec` runs one trigger once and says what it would change.
@Suite struct ExecTests {
  private func project() throws -> TemporaryDirectory {
    try TemporaryDirectory([
      "p/host.yaml": "stores: { counts: {} }\nstrict_stores: true\n",
      "p/triggers/counter.lua": """
      local step = require "lib.step"
      return {
        on = { event = "visit" },
        execute = function(event, ctx)
          local seen = ctx:store("counts"):get(event.page) or 0
          ctx:log("info", "seen", { page = event.page, name = ctx.event_name })
          return { ctx:store("counts"):put(event.page, seen + step), ctx:emit("visited", { page = event.page }) }
        end,
      }
      """,
      "p/triggers/lib/step.lua": "return 1\n",
      "p/triggers/failing.lua": """
      local function inner() error("no luck") end
      return {
        on = { event = "visited" },
        execute = function(event, ctx)
          inner()
        end,
      }
      """,
      "p/triggers/broken.lua": "return {\n  on = = 1,\n}\n",
      "p/event.json": "{\"page\": \"home\"}\n",
    ])
  }

  @Test func aFileThatCannotBeTakenIsSaid() async throws {
    let directory = try TemporaryDirectory(["triggers/good.lua": Script.good, "bom.json": "\u{FEFF}{}"])
    try Data([0xFF]).write(to: URL(fileURLWithPath: directory("bytes.json")))
    for (event, error) in [
      ("@gone.json", "Error: --event: gone.json cannot be read: no such file or directory"),
      ("@triggers", "Error: --event: triggers cannot be read: is a directory"),
      ("@bytes.json", "Error: --event: bytes.json: not UTF-8 text: 0xff at byte 1"),
    ] {
      let ended = try await triggerHost("exec", "triggers/good.lua", "--event", event, in: directory.path)
      #expect(ended.status == 2 && ended.errorLines.first == error, "\(ended)")
    }
    let marked = try await triggerHost(
      "exec", "triggers/good.lua", "--event", "@bom.json", in: directory.path)
    #expect(marked.status == 0, "\(marked)")
    let all = try await triggerHost("exec", "triggers", in: directory.path)
    #expect(
      all.status == 2 && all.errorLines.first == "Error: triggers is a directory: name one script in it")
  }

  @Test func intentsArePrinted() async throws {
    let directory = try project()
    let ended = try await triggerHost(
      "exec", "p/triggers/counter.lua", "--event", "{\"page\": \"home\"}", "--name", "visit",
      in: directory.path)
    #expect(ended.status == 0)
    #expect(ended.errors == "")
    #expect(
      ended.lines == [
        "log    info: seen {\"name\":\"visit\",\"page\":\"home\"}  (p/triggers/counter.lua:6)",
        "put    counts/home = 1",
        "emit   visited = {\"page\":\"home\"}", "counter: would commit, 2 intents",
      ])
  }

  @Test func jsonSaysTheSame() async throws {
    let directory = try project()
    let ended = try await triggerHost(
      "exec", "counter", "--config", "p/host.yaml", "--event", "@p/event.json", "--stores",
      "{\"counts\": {\"home\": 41}}", "--json", in: directory.path)
    #expect(ended.status == 0)
    let json = try ended.jsonObject()
    #expect(json["outcome"] as? String == "committed")
    #expect(json["trigger"] as? String == "counter")
    #expect(json["error"] is NSNull)
    #expect(json["reads"] as? [String] == ["counts/home"])
    let intents = try #require(json["intents"] as? [[String: Any]])
    #expect(intents.map { $0["kind"] as? String } == ["put", "emit"])
    #expect(intents[0]["store"] as? String == "counts")
    #expect(intents[0]["key"] as? String == "home")
    #expect(intents[0]["value"] as? Int == 42)
    let log = try #require(json["log"] as? [[String: Any]])
    #expect(log.map { $0["place"] as? String } == ["counter.lua:6"])
    #expect((log[0]["fields"] as? [String: String])?["page"] == "home")
  }

  /// Paths of every shape lead to the same script, its modules and its host.yaml.
  @Test(arguments: [
    (".", "p/triggers/counter.lua"), ("p", "triggers/counter.lua"), ("p", "counter"), ("p", "counter.lua"),
    ("p/triggers", "counter.lua"), ("p/triggers", "./counter.lua"), ("p/triggers/lib", "../counter.lua"),
    ("p", "./triggers/../triggers/counter.lua"),
  ])
  func aScriptIsFoundFromAnywhere(_ place: String, _ script: String) async throws {
    let directory = try project()
    let ended = try await triggerHost("exec", script, "--event", "{\"page\": \"x\"}", in: directory(place))
    #expect(ended.status == 0, "\(ended)")
    #expect(ended.lines.last == "counter: would commit, 2 intents")
    let strict = try await triggerHost("exec", script, "--stores", "{\"cuonts\": {}}", in: directory(place))
    #expect(strict.status == 2)
    #expect(
      strict.errorLines.first
        == "Error: --stores: the configuration has no store 'cuonts'; did you mean 'counts'?")
  }

  @Test func aFailureEndsWith1AndItsTraceback() async throws {
    let directory = try project()
    let ended = try await triggerHost("exec", "p/triggers/failing.lua", in: directory.path)
    #expect(ended.status == 1)
    #expect(ended.lines == ["failing: failed (error), 0 intents"])
    #expect(ended.errorLines.first == "p/triggers/failing.lua:1: no luck")
    #expect(ended.errors.contains("stack traceback:"))
    #expect(
      ended.errorLines.contains("  | \tp/triggers/failing.lua:5: in function <p/triggers/failing.lua:4>"),
      "\(ended)")
    let traced = try await triggerHost("exec", "triggers/failing.lua", "--trace", in: directory("p"))
    #expect(traced.errorLines.contains("triggers/failing.lua:5      inner()"), "\(traced)")
    let committed = try await triggerHost(
      "exec", "p/triggers/failing.lua", "--data", "data", "--commit", in: directory.path)
    #expect(committed.errorLines.first == "p/triggers/failing.lua:1: no luck", "\(committed)")
    // What is kept, and what programs read, does not change with the directory.
    let kept = try await triggerHost("exec", "--data", "data", "--seq", "1", in: directory.path)
    #expect(kept.errorLines.first == "failing.lua:1: no luck", "\(kept)")
    let json = try await triggerHost("exec", "p/triggers/failing.lua", "--json", in: directory.path)
    #expect(json.status == 1)
    #expect(try (json.jsonObject()["error"] as? String)?.hasPrefix("failing.lua:1: no luck\n") == true)
    #expect(try json.jsonObject()["outcome"] as? String == "failed")
  }

  /// A path from the root, of a script that is in no `triggers` directory.
  @Test func aPathFromTheRoot() async throws {
    let directory = try project()
    try directory.write("single.lua", "return { execute = function() return {} end }\n")
    let ended = try await triggerHost("exec", directory("single.lua"))
    #expect(ended.status == 0)
    #expect(ended.output == "single: would commit, 0 intents\n")
    let gone = try await triggerHost("exec", directory("gone.lua"))
    #expect(gone.status == 2)
    #expect(gone.errorLines.first == "Error: \(directory("gone.lua")): no such file")
    #expect(try await triggerHost("exec", "/gone.lua").errorLines.first == "Error: /gone.lua: no such file")
  }

  @Test func aBrokenScriptIsSaidWithItsPlace() async throws {
    let directory = try project()
    let ended = try await triggerHost("exec", "p/triggers/broken.lua", in: directory.path)
    #expect(ended.status == 1)
    #expect(ended.errorLines == ["p/triggers/broken.lua:2: unexpected symbol near '='"])
  }

  @Test(arguments: [
    (["counter", "--event", "{\"a\":"], "--event: 1:6: expected a value, got the end of the text"),
    (["counter", "--event", "@gone.json"], "--event: gone.json cannot be read: no such file or directory"),
    (["counter", "--stores", "[]"], "--stores: expected {store: {key: value}}"),
    (["counter", "--stores", "{\"counts\": 3}"], "--stores: store 'counts': expected {key: value}, got 3"),
    (["conter"], "no trigger 'conter' in triggers; did you mean 'counter'?"),
    (["triggers/conter.lua"], "no trigger 'conter.lua' in triggers; did you mean 'counter'?"),
    (["triggers/lib/step.lua"], "triggers/lib/step.lua is a module or a test, not a trigger"),
    (["gone/counter.lua"], "gone/counter.lua: no such file"),
  ])
  func aUsageMistakeEndsWith2(_ arguments: [String], _ message: String) async throws {
    let directory = try project()
    let ended = try await RunningCommand(["exec"] + arguments, in: directory("p")).end()
    #expect(ended.status == 2)
    #expect(ended.errorLines.first == "Error: \(message)")
    #expect(ended.output == "")
  }
}
