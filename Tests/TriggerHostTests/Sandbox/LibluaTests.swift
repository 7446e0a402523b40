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

  /// Coroutines whose stacks have moved, and that are collected: in an attempt, between two, and many at once.
  @Test func stacksOfDeadCoroutinesAreForgotten() async throws {
    let all = try await values(
      """
      \(Self.money)
      local function grow(n) return coroutine.wrap(function() local s = deep(n) coroutine.yield(s) return owe(money(n)) end) end
      return { on = { event = 'x' }, timeout = '30s', execute = function(event, ctx)
        local last
        for round = 1, 40 do
          local some = {}
          for i = 1, 50 do some[i] = grow(round * 7 + i) some[i]() end
          last = some[round]()
          for i = 1, 100 do local junk = ("x"):rep(1000) .. i end
        end
        return { ctx:store('s'):put('k', { event.n, last }) }
      end }
      """, times: 12)
    #expect(all == (0..<12).map { [.int(Int64($0)), "you owe 42"] })
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

  // MARK: Wrong code

  /// In a function with many constants, in every place of code: what `load` compiles, and what a file does.
  private static let manyConstants =
    "local many = {" + (0..<300).map { "\($0).25" }.joined(separator: ",") + "}\n"

  /// What is true of it in Lua, and was not of the code that 5.4.4 makes.
  private static let rightCode = [
    "(1 | (2 or 3)) == 3", "(1 ~ (v or 3)) == 4", "(1000 & (v and 1000)) == 1000",
    "(-1 | (v == 5 and 1 or 2)) == -1",
    "(300000 ~ (v or w or 3)) == 300005", "((2 and 3) | (u or 9)) == 15", "(1 | (w and 2 or v or 3)) == 5",
    "(7 & (f(5) or 3)) == 5", "(1 | (t[1] or 3)) == 41", "(1 | 2 | (4 | (v or 3))) == 7",
    "(1 | (2 or 3) | (v or 8)) == 7",
    "(~1 & (v or 3)) == 4", "(1 << (v or 3)) == 32", "(1 | (w or u)) == 13", "(1 | (u or w)) == 13",
    "u2[v == 5] == 'yes'", "u2[v ~= 5] == 'no'", "u2[v < 6] == 'yes' and u2[not (v < 6)] == 'no'",
    "u2[f(v) == f(5)] == 'yes'", "u2[u == 12] == 'yes'", "u2[v == 5 and w == nil] == 'yes'",
    "({ [v == 5] = v or 1 })[true] == 5", "set(v == 5) == 'set'",
  ]

  @Test(arguments: ["", manyConstants])
  func constantsAndComparisonsAreWhatTheyAre(before: String) async throws {
    let body = Self.rightCode.map { "assert(\($0), [==[\($0)]==])" }.joined(separator: "\n")
    let file = """
      local u, u2 = 12, { [true] = 'yes', [false] = 'no' }
      local function f(x) return x end
      local function set(x) u2[x == true] = 'set' local r = u2[x == true] u2[x == true] = 'yes' return r end
      local function check(v, w) local t = { 40 }
      \(before)
      \(body) end
      check(5)
      """
    let result = try await run(
      """
      \(file)
      assert(load([=====[\(file)]=====]))()
      """)
    #expect(result.outcome == .committed, "\(result.error ?? "")")
  }

  /// The closing value of a loop that is left, where a function uses one of its locals. Were it left pending, a local
  /// that is to be closed below it would end the host.
  @Test func aLoopThatIsLeftIsClosed() async throws {
    let result = try await run(
      """
      local log = {}
      local function closing(name) return setmetatable({}, { __close = function() log[#log + 1] = name end }) end
      local function left()
        do
          local a1, a2, a3, a4, a5
          for k, v in next, { 1 }, nil, closing "inner" do
            local function f() return k end
            if f() then break end
          end
          log[#log + 1] = "after"
        end
        local x <close> = closing "x"
        for i = 1, 2 do
          for k, v in next, { 1, 2 }, nil, closing("loop" .. i) do
            local function f() return k + v end
            if v == 2 then goto done end
          end
          ::done::
        end
      end
      for i = 1, 3 do left() end
      local round = "inner after loop1 loop2 x"
      assert(table.concat(log, " ") == round .. " " .. round .. " " .. round, table.concat(log, " "))
      """)
    #expect(result.outcome == .committed, "\(result.error ?? "")")
  }

  // MARK: Names

  @Test(arguments: [
    #""return a" .. (".x"):rep(60000) .. ".y.z""#, #""return a" .. ("['x']"):rep(60000) .. ".y.z""#,
    #""return a" .. (".x"):rep(60000) .. ":y()""#, #""return a" .. ("[1]"):rep(60000) .. ".y + 1""#,
    #""local s = 'x' return " .. ("a[a.x"):rep(150) .. ("]"):rep(150) .. (".x"):rep(600) .. ".y.z""#,
  ])
  func longNamesAreRefused(source: String) async throws {
    let result = try await run(
      """
      local f, message = load("local a = ...\\n" .. \(source), "=long")
      assert(not f and message:find('^%[load "long"%]:2: more than 500 fields in a row'), message)
      """)
    #expect(result.outcome == .committed, "\(result.error ?? "")")
  }

  /// Calls and locals begin anew, so builders and lists walked step by step are as long as they like.
  @Test func manyStepsAreNoName() async throws {
    let result = try await run(
      """
      local o = {} function o.f() return o end function o:m() return self end o.o = o
      assert(load("local o = ... ; return o" .. (".o.f()"):rep(2000) .. (":m()"):rep(2000)))(o)
      assert(load("local o = ... ; " .. ("o = o.o "):rep(2000) .. "return o"))(o)
      """)
    #expect(result.outcome == .committed, "\(result.error ?? "")")
  }

  @Test func longNamesInFilesHaveTheirLine() {
    let long =
      "return { on = { event = 'x' }, execute = function(event)\n local y = event"
      + String(repeating: ".x", count: 600) + ".y\nend }"
    let tree = ScriptTree(files: ["s.lua": Array(long.utf8)])
    #expect("\(tree.problems)".contains("s.lua:2: more than 500 fields in a row"), "\(tree.problems)")
  }
}
