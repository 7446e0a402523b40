import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

/// For suites about `*_test.lua` files: runs one beside the scripts below.
protocol RunsScriptTests {}

extension RunsScriptTests {
  func run(_ source: String, timeout: Duration = .seconds(300)) async -> ScriptTestFile {
    var files = scripts
    files["a_test.lua"] = source
    var tests = ScriptTests(tree: ScriptTree(files: files.mapValues { Array($0.utf8) }))
    tests.timeout = timeout
    return await tests.run("a_test.lua")
  }

  /// The one failure of a test with this body.
  func failure(_ body: String) async throws -> ScriptTestFailure {
    let file = await run("it(\"x\", function()\n\(body)\nend)")
    let result = try #require(file.results.first, "\(file)")
    #expect(result.status == .failed && result.error == nil, "\(file)")
    return try #require(result.failures.first, "\(file)")
  }

  /// The error of a test with this body.
  func error(_ body: String) async throws -> String {
    let file = await run("it(\"x\", function()\n\(body)\nend)")
    return try #require(file.results.first?.error, "\(file)")
  }

  /// Of the files above those that a test is about.
  func run(
    with names: [String], _ body: String, timeout: Duration = .seconds(300)
  ) async throws -> ScriptTestFile {
    var files = waitingScripts.filter { names.contains($0.key.replacing(".lua", with: "")) }
    try #require(files.count == names.count)
    files["a_test.lua"] = body
    let tree = ScriptTree(files: files.mapValues { Array($0.utf8) })
    try #require(tree.problems.isEmpty, "\(tree.problems)")
    var tests = ScriptTests(tree: tree)
    tests.timeout = timeout
    return await tests.run("a_test.lua")
  }
}

private let scripts = [
  "counter.lua": """
  return {
    on = { event = "page/visit" },
    execute = function(event, ctx)
      ctx:log("info", "seen", { page = event.page })
      return { ctx:store("visits"):add(event.page, 1), ctx:emit("visited", { page = event.page }) }
    end,
  }
  """,
  "order.lua": """
  return {
    on = { event = "order" },
    execute = function(event, ctx)
      return { ctx:store("bills"):add(event.what, event.units * ctx:store("prices"):get(event.what)) }
    end,
  }
  """,
  "remind.lua": """
  return {
    on = { every = "24h" },
    execute = function(event, ctx)
      for what in ctx:store("bills"):scan() do ctx:log("warning", what .. " is not paid") end
    end,
  }
  """,
  "endless.lua": "return { timeout = '30ms', execute = function() while true do end end }",
  "chance.lua":
    "return { execute = function(_, ctx) return { ctx:store('s'):put('n', math.random(1000000)) } end }",
  "lib/twice.lua": "return function(x) return 2 * x end",
]

/// Triggers that wait for the clock, and some that do not end.
let waitingScripts = [
  "typed.lua": """
  return { on = { event = "key" }, debounce = "5s", execute = function(event, ctx)
    return { ctx:store("s"):add("typed", 1), ctx:store("s"):put("text", event.text or null), ctx:emit("saved", {}) }
  end }
  """,
  "slow.lua": """
  return { on = { event = "move" }, throttle = "10s", execute = function(event, ctx)
    return { ctx:store("s"):append("moves", event.n) }
  end }
  """,
  "flaky.lua": """
  return { on = { event = "call" }, retry = { attempts = 3, backoff = "1s" }, execute = function(event, ctx)
    if (ctx:store("s"):get("up") or false) ~= true then error("down") end
    return { ctx:store("s"):put("called", true) }
  end }
  """,
  "up.lua":
    "return { on = { at = '2026-01-01T00:00:02Z' }, execute = function(_, ctx) return { ctx:store('s'):put('up', true) } end }",
  "echo.lua":
    "return { on = { event = 'saved' }, debounce = '1m', execute = function(_, ctx) return { ctx:emit('key', { text = 'again' }) } end }",
  "spin.lua":
    "return { on = { event = 'spin' }, timeout = '1h', execute = function() while true do end end }",
  "tick.lua": "return { on = { event = 'never', every = '1ms' }, execute = function() end }",
]
