import Testing
import TriggerCore
import TriggerHost

/// The sandbox's libraries as a script meets them, and C loops that a script tries to make endless.
@Suite(.serialized) struct SandboxTests {
  private func run(_ body: String) async throws -> OperationResult {
    let script =
      "return { on = { event = 'x' }, timeout = '30ms', execute = function(event, ctx)\n\(body)\nend }"
    let tree = ScriptTree(files: ["s.lua": Array(script.utf8)])
    try #require(tree.problems.isEmpty, "\(tree.problems)")
    let queue = TriggerQueue(CommitCoordinator(EngineConfiguration(workers: 1)))
    queue.bind([], scripts: tree)
    queue.start()
    defer { queue.stop() }
    return try await queue.perform(Event("x"))[0]
  }

  @Test func librariesWork() async throws {
    let result = try await run(
      """
      assert(string.find("hello world", "o w") == 5)
      assert(("%d items %s %5.2f"):format(3, "x", 1.5) == "3 items x  1.50")
      assert(("abc=1, d=2"):gsub("(%w+)=(%d)", "%2=%1") == "1=abc, 2=d")
      local t = {5, 2, 8, 1}; table.sort(t); assert(table.concat(t, ",") == "1,2,5,8")
      local keys = {}; for k in pairs({b = 1, a = 2, [3] = 1, [1] = 1}) do keys[#keys + 1] = tostring(k) end
      assert(table.concat(keys, " ") == "1 3 a b")
      local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1); return b * 2 end)
      assert(co(1) == 2 and co(4) == 8)
      assert(os.date("%Y", 0) == "1970" and math.random(1, 6) <= 6 and utf8.len("ä") == 1)
      assert(tostring({}) == "table" and not pcall(error, {}))
      assert(io == nil and debug == nil and collectgarbage == nil and string.dump == nil)
      """)
    #expect(result.outcome == .committed, "\(result.error ?? "")")
  }

  @Test(arguments: [
    "string.find(string.rep('a', 28), string.rep('a?', 28) .. string.rep('a', 28))",
    "pcall(string.find, string.rep('a', 28), string.rep('a?', 28) .. string.rep('a', 28))",
    "while true do pcall(function() while true do end end) end",
    "xpcall(function() while true do end end, function() while true do end end)",
    "coroutine.wrap(function() while true do end end)()",
    "table.sort({3, 1, 2}, function() while true do end end)",
    "string.gsub('abc', '.', function() while true do end end)",
    "local t = setmetatable({}, {__index = function() while true do end end}); return t.x",
    "table.move({}, 1, 1e15 // 1 | 0, 2)",
    "table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 'x')",
    "local t <close> = setmetatable({}, {__close = function() while true do end end}); error('x')",
    "load(function() while true do end end)",
    "local t = {}; for i = 1, math.huge do t[i] = string.rep('x', 1000) end",
    "local s = 'x'; while true do s = s .. s end",
    "return { ctx:store('s'):put('k', function() end) }",
    "setmetatable({}, {__gc = function() end})",
    "leak = 1",
    "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "local function f() return f() + 1 end; return f()",
  ])
  func hostileScriptsEnd(body: String) async throws {
    let result = try await run(body)
    #expect(result.outcome == .failed)
    #expect(result.error?.isEmpty == false)
  }
}
