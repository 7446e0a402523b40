import Testing
import TriggerCore

import TriggerHost
import TriggerReplay

/// Executions that no log has, and their traces.
@Suite struct TrialTests {
  private func run(
    _ scripts: [String: String], _ event: Value = [:], stores: [String: Value.Map] = [:],
    traced: Bool = true
  ) throws -> Replayer.TrialResult {
    let replayer = Replayer(stores: stores)
    let trial = Replayer.Trial(
      trigger: "a", event: "x", payload: CanonicalEncoding.encode(event), admitted: 5_000_000_000)
    return try #require(replayer.execute(trial, of: Recorded.tree(of: scripts), traced: traced))
  }

  private func lines(_ result: Replayer.TrialResult) -> [String] {
    result.trace.map { "\($0.path):\($0.line) \($0.changes)" }
  }

  private static func script(_ body: String) -> [String: String] {
    ["a.lua": "return { on = { event = \"x\" }, execute = function(event, ctx)\n\(body)\nend }"]
  }

  @Test func linesAndChangesInOrder() throws {
    let result = try run(
      [
        "lib/add.lua": "return function(a, b)\n  local sum = a + b\n  return sum\nend",
        "a.lua": """
        local add = require "lib.add"
        return { on = { event = "x" }, execute = function(event, ctx)
          local total, half = 0
          for i = 1, 2 do
            total = add(total, i)
          end
          half = total / 2
          add(1, 2)
          local text, list = "a\\"b\\n", { 1, 2, x = { y = true } }
          return { ctx:store("s"):put("k", total) }
        end }
        """,
      ], ["n": 1])
    #expect(
      lines(result) == [
        "a.lua:3 event = {n = 1}", "a.lua:4 total = 0, half = nil", "a.lua:5 i = 1",
        "lib/add.lua:2 a = 0, b = 1", "lib/add.lua:3 sum = 1", "a.lua:4 total = 1", "a.lua:5 i = 2",
        "lib/add.lua:2 a = 1, b = 2", "lib/add.lua:3 sum = 3", "a.lua:4 total = 3", "a.lua:7 ",
        "a.lua:8 half = 1.5", "lib/add.lua:2 a = 1, b = 2", "lib/add.lua:3 sum = 3", "a.lua:9 ",
        "a.lua:10 text = \"a\\\"b\\n\", list = {1, 2, x = {y = true}}",
      ])
    #expect(result.intents == [.put("s", "k", 3)] && !result.isTraceCut)
  }

  @Test func largeValuesAreCut() throws {
    let result = try run(
      Self.script(
        """
        local long, many, fields = string.rep("ü", 50), {}, {}
        for i = 1, 100 do many[i] = i; fields["f" .. i] = i end
        local deep = { a = { b = { c = 1 } }, f = print, n = null }
        local ten = { k = 1, j = 2, i = 3, h = 4, g = 5, f = 6, e = 7, d = 8, c = 9, b = 10 }
        return {}
        """))
    let last = try #require(result.trace.last).changes
    #expect(last == "ten = {b = 10, c = 9, d = 8, e = 7, f = 6, g = 5, h = 4, i = 3, ... 10 in all}")
    let all = result.trace.map(\.changes).joined(separator: "\n")
    #expect(all.contains("long = \"\(String(repeating: "ü", count: 30))...\""))
    #expect(all.contains("deep = {a = {b = {...}}, f = function, n = null}"))
    #expect(all.contains("many = {1, 2, 3, 4, 5, 6, 7, 8, ... 9 in all}"))
    #expect(all.contains("fields = {... many fields}"))
  }

  /// A traced run gives what any other gives: here everything that a hook might disturb.
  @Test(arguments: [
    """
    local co = coroutine.wrap(function(a) for i = 1, 3 do a = a + coroutine.yield(a) end return a end)
    return { ctx:store("s"):put("k", array{ co(1), co(2), co(3), co(4) }) }
    """,
    """
    local ok, err = pcall(function() local t = setmetatable({}, { __index = function(_, k) error("no " .. k) end }) return t.x end)
    return { ctx:store("s"):put("k", tostring(err)), ctx:store("s"):put("r", math.random(1000)) }
    """,
    """
    local t = {}
    for i = 1, 300 do t[i] = { i, tostring(i):rep(10) } end
    table.sort(t, function(a, b) return a[2] > b[2] end)
    return { ctx:store("s"):put("k", t[1][2]), ctx:store("s"):put("n", #t) }
    """,
    "error({ code = 7 })", "local function f(n) return f(n + 1) + 1 end return f(1)",
    "local s = \"x\" while true do s = s .. s end",
  ])
  func tracingChangesNothing(_ body: String) throws {
    // How far a run comes in its time differs, so there is enough of it.
    let scripts = Self.script(body).mapValues {
      $0.replacing("return {", with: "return { timeout = \"60s\",", maxReplacements: 1)
    }
    let (plain, traced) = (try run(scripts, traced: false), try run(scripts, traced: true))
    #expect(plain.outcome == traced.outcome && plain.intents == traced.intents && plain.error == traced.error)
    #expect(plain.reads == traced.reads && plain.trace.isEmpty && !traced.trace.isEmpty)
  }

  /// One that ends, as how far an endless one comes in its time differs.
  @Test func aLongTraceIsCutAndAnEndlessScriptEnded() throws {
    func run(while condition: String, timeout: String) throws -> Replayer.TrialResult {
      var scripts = Self.script("local n = 0\nwhile \(condition) do\nn = n + 1\nend")
      scripts["a.lua"]!.replace("return {", with: "return { timeout = \"\(timeout)\",")
      return try self.run(scripts)
    }
    let long = try run(while: "n < \(Replayer.traceLimit)", timeout: "60s")
    #expect(long.outcome == .committed && long.trace.count == Replayer.traceLimit && long.isTraceCut)
    let endless = try run(while: "true", timeout: "20ms")
    #expect(endless.outcome == .failed && endless.error?.contains("timeout") == true)
  }

  /// A module that turns out to change makes the run begin anew: only the new run counts.
  @Test func anAbandonedRunIsForgotten() throws {
    let result = try run([
      "lib/state.lua": "return { n = 0 }",
      "a.lua": """
      local state = require "lib.state"
      return { on = { event = "x" }, execute = function(event, ctx)
        state.n = state.n + 1
        return { ctx:store("s"):put("n", state.n) }
      end }
      """,
    ])
    #expect(result.intents == [.put("s", "n", 1)])
    #expect(result.trace.count { $0.path == "a.lua" && $0.line == 3 } == 1, "\(lines(result))")
  }

  @Test func whatItReadsAndSaysIsTold() throws {
    let result = try run(
      Self.script(
        "print(event.n, ctx.seq, os.time()) local n = ctx:store(\"s\"):get(\"k\") return { ctx:store(\"s\"):put(\"k\", n + 1) }"
      ), ["n": 3], stores: ["s": ["k": 1]], traced: false)
    #expect(result.logs.map(\.message) == ["3\t1\t5"])
    #expect(result.reads == ["s/k"] && result.intents == [.put("s", "k", 2)])
  }

  @Test func theStateGoesOn() throws {
    let replayer = Replayer()
    let scripts = Recorded.tree(
      of: Self.script("return { ctx:store(\"s\"):put(\"n\", (ctx:store(\"s\"):get(\"n\") or 0) + 1) }"))
    let trial = Replayer.Trial(trigger: "a", event: "x", payload: CanonicalEncoding.encode([:]), admitted: 1)
    for n in 1...3 {
      #expect(replayer.execute(trial, of: scripts)?.intents == [.put("s", "n", .int(Int64(n)))])
    }
    #expect(replayer.seq == 3 && replayer.execute(trial, of: Recorded.tree(of: [:])) == nil)
    #expect(try replayer.value("s", "n") == 3)
  }
}

/// One key through its commits.
@Suite struct KeyHistoryTests {
  @Test func everyKindOfIntent() throws {
    var key = KeyHistory(store: "s", key: "k", value: 1)
    func record(_ intents: (change: ChangeKind, key: String, value: Value?)...) -> LogRecord {
      LogRecord(
        seq: 1, "a", "x",
        intents: intents.map {
          LogRecord.Intent(
            action: .change($0.change, "s"), key: Array($0.key.utf8),
            value: $0.value.map { CanonicalEncoding.encode($0) } ?? [])
        })
    }
    func change(_ record: LogRecord) throws -> [Value?]? { try key.apply(record).map { [$0.old, $0.new] } }
    #expect(try change(record((.put, "other", 5))) == nil)
    #expect(try change(record((.add, "k", 2))) == [1, 3])
    #expect(try change(record((.max, "k", 7), (.min, "k", 6), (.add, "k", 0.5))) == [3, 6.5])
    #expect(try change(record((.delete, "k", nil))) == [6.5, nil])
    #expect(try change(record((.append, "k", "a"), (.append, "k", "b"))) == [nil, ["a", "b"]])
    #expect(try change(record((.replace, "", ["other": 1]))) == [["a", "b"], nil])
    #expect(try change(record((.replace, "", ["other": 2]))) == nil)
    #expect(try change(record((.replace, "", ["k": 9]))) == [nil, 9])
    #expect(try change(record((.put, "k", 8), (.replace, "", ["k": 9]))) == [9, 9])
    #expect(throws: LogDamage.self) { try change(record((.append, "k", 1))) }
  }
}
