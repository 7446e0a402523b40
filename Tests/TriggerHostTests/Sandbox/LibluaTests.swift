import Testing
import TriggerCore
import TriggerHost

/// What the installed Lua gets wrong, as scripts meet it: the table in `Security.md`, row by row.
@Suite struct LibluaTests {
  /// Runs a trigger again and again on one worker, each time with `event.n` one higher, and gives the values of `s/k`.
  private func values(_ source: String, times: Int = 1) async throws -> [Value?] {
    let tree = ScriptTree(files: ["s.lua": Array(source.utf8)])
    try #require(tree.problems.isEmpty, "\(tree.problems)")
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: tree)
    queue.start()
    defer { queue.stop() }
    var values: [Value?] = []
    for n in 0..<times {
      let result = try await queue.perform(Event("x", ["n": .int(Int64(n))]))[0]
      try #require(result.outcome == .committed, "\(result.error ?? "")")
      values.append(try coordinator.store("s").get("k"))
    }
    return values
  }

  private func run(_ body: String) async throws -> OperationResult {
    let tree = ScriptTree(files: ["s.lua": Array(Self.trigger(body).utf8)])
    try #require(tree.problems.isEmpty, "\(tree.problems)")
    let queue = TriggerQueue(CommitCoordinator(EngineConfiguration(workers: 1)))
    queue.bind([], scripts: tree)
    queue.start()
    defer { queue.stop() }
    return try await queue.perform(Event("x"))[0]
  }

  private static func trigger(_ body: String) -> String {
    "return { on = { event = 'x' }, timeout = '30s', memory = '256mb', execute = function(event, ctx)\n\(body)\nend }"
  }

  // MARK: Stacks that move

  private static let money = """
    local function deep(n) if n == 0 then return "42" end return (deep(n - 1)) end
    local function tail(n) return deep(n) end
    local Money = { __concat = function(a, b)
      if type(b) == "table" then return a .. tail(b.depth) end
      return tail(a.depth) .. b
    end }
    local function money(depth) return setmetatable({ depth = depth }, Money) end
    local function owe(x) return "you " .. "owe " .. x end
    """

  /// Whatever the stack's size is when it begins.
  @Test func aConcatenationOutlivesItsStack() async throws {
    let all = try await values(
      """
      \(Self.money)
      return { on = { event = 'x' }, timeout = '30s', execute = function(event, ctx)
        local texts = { owe(money(2 ^ event.n // 1 | 0)) }
        local co = coroutine.wrap(function() return owe(money(3 * event.n)) end)
        texts[2] = co()
        return { ctx:store('s'):put('k', texts) }
      end }
      """, times: 14)
    #expect(all == Array(repeating: ["you owe 42", "you owe 42"], count: 14))
  }

  /// However the stack moved: by a C function, by a collection that makes stacks smaller, inside of a coroutine that the
  /// metamethod resumes, or several times.
  @Test(arguments: [
    #"setmetatable({}, { __concat = function(a, b) return a .. select(1, table.unpack({ "c" }, 1, 3000)) end })"#,
    #"setmetatable({ "c" }, { __concat = function(a, b) local t = {} for i = 1, 200000 do t[i] = { i } end return a .. "c" end })"#,
    #"setmetatable({}, { __concat = coroutine.wrap(function(a) while true do a = coroutine.yield(a .. deep(900)) end end) })"#,
    "money(10) .. money(1000) .. money(20000)",
    "setmetatable({}, { __concat = function(a, b) return a .. coroutine.wrap(function() return owe(money(800)) end)() end })",
    "setmetatable({}, { __call = function() end, __concat = setmetatable({}, { __call = function(self, a) return a .. deep(700) end }) })",
  ])
  func howeverTheStackMoves(object: String) async throws {
    let all = try await values(
      Self.money + "\n"
        + Self.trigger(
          """
          local function first() return "a" .. "b" .. \(object) end
          local function other() local x = "ab" return "c" .. "d" .. x .. \(object) end
          local results = { first(), coroutine.wrap(other)(), coroutine.wrap(first)() }
          results[4], results[5] = first(), other()
          return { ctx:store('s'):put('k', results) }
          """), times: 3)
    for case .array(let texts) in all {
      #expect(texts[0] == texts[3] && texts[0] == texts[2] && texts[1] == texts[4], "\(texts)")
      #expect("\(texts[0])".hasPrefix("\"ab") && "\(texts[1])".hasPrefix("\"cdab"), "\(texts)")
    }
    #expect(all.count == 3 && all.allSatisfy { if case .array = $0 { true } else { false } })
  }

  /// Deeper than any stack: it ends, in the same words on any worker, and nothing catches it.
  @Test func aConcatenationThatOverflowsEnds() async throws {
    let result = try await run(
      """
      local function over() return 1 + over() end
      local o = setmetatable({}, { __concat = function() pcall(over) return "o" end })
      return { ctx:store('s'):put('k', "a" .. "b" .. o) }
      """)
    #expect(result.outcome == .failed)
    #expect(result.error?.contains("stack overflow: a __concat") == true, "\(result.error ?? "")")
  }

  /// Two values are safe, and an overflow that is caught elsewhere stays the script's own affair.
  @Test func otherOverflowsAreCaught() async throws {
    let result = try await run(
      """
      local function over() return 1 + over() end
      local o = setmetatable({}, { __concat = function() return select(2, pcall(over)):match("stack overflow") end })
      assert("a" .. o == "stack overflow")
      assert("a" .. "b" .. tostring(pcall(over)) == "abfalse")
      """)
    #expect(result.outcome == .committed, "\(result.error ?? "")")
  }

  // MARK: Message handlers

  /// It is closed while it is suspended inside of xpcall: what fails then has its own error, whatever stands where the
  /// handler was.
  @Test(arguments: ["coroutine.close(co)", "coroutine.wrap(function() return coroutine.close(co) end)()"])
  func aHandlerEndsWithItsCall(close: String) async throws {
    let result = try await run(
      """
      local handled = 0
      local function suspended(levels)
        local co = coroutine.create(function()
          local x <close> = setmetatable({}, { __close = function(_, e)
            local a, b, c, d, f, g, h = 1, 2, 3, 4, 5, 6, {}
            error("boom")
          end })
          local function inner(n)
            if n == 0 then coroutine.yield() else xpcall(inner, function() handled = handled + 1 end, n - 1) end
          end
          inner(levels)
        end)
        coroutine.resume(co)
        return co
      end
      for levels = 1, 20 do
        local co = suspended(levels)
        local ok, message = \(close)
        assert(not ok and tostring(message):find("boom$"), message)
        assert(coroutine.status(co) == "dead")
      end
      assert(handled == 0)
      local ok, message = coroutine.resume(coroutine.create(function()
        return xpcall(function() coroutine.yield() error("x") end, function(e) return "handled" end)
      end))
      assert(ok)
      """)
    #expect(result.outcome == .committed, "\(result.error ?? "")")
  }
}
