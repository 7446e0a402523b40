import Testing

import TriggerLua

/// What `print` and `ctx:log` show, and what a text given to `load` is called.
@Suite struct PrintTests {
  private func printed(_ code: String) throws -> String {
    let host = DictionaryHost()
    host.limits.memoryBytes = 64 << 20
    _ = try host.execute(code)
    let line = try #require(host.logs.last)
    // "info triggers/test.lua:2 text "
    return String(line.split(separator: " ", maxSplits: 2)[2].dropLast())
  }

  @Test(arguments: [
    ("{}", "{}"), ("{ 1, 2.5, 'x', true, null }", "{1, 2.5, \"x\", true, null}"),
    ("{ b = 1, a = { c = {} } }", "{a = {c = {}}, b = 1}"),
    (
      "{ 'a', [3] = 'c', [-1] = 0, [1.5] = 'between' }", "{[-1] = 0, \"a\", [1.5] = \"between\", [3] = \"c\"}"
    ),
    (
      "{ ['odd key'] = 1, ['9'] = 2, [true] = 3, [''] = 4 }",
      "{[\"\"] = 4, [\"9\"] = 2, [\"odd key\"] = 1, [true] = 3}"
    ),
    ("{ 'line\\nnext\\27[31m', 'quote\"\\\\' }", "{\"line\\nnext\\x1b[31m\", \"quote\\\"\\\\\"}"),
    ("{ print, coroutine.create(print) }", "{function, thread}"),
    // Objects as keys have no order: they are counted.
    ("{ [print] = 1, [{}] = 2, a = 3 }", "{a = 3, ... 2 more}"), ("{ [{}] = 1, [{}] = 2 }", "{... 2 more}"),
    ("{ { { { { 1 } } } } }", "{{{{{...}}}}}"),
    ("{ setmetatable({ 1 }, { __tostring = function() return 'MONEY' end }) }", "{MONEY}"),
    ("setmetatable({ 1 }, { __tostring = function() return 'MONEY' end })", "MONEY"),
    ("{ setmetatable({}, { __tostring = function() error('no') end }), 2 }", "{<__tostring failed>, 2}"),
    ("{ setmetatable({}, { __tostring = function() return 5 end }), 2 }", "{5, 2}"),
    ("{ setmetatable({}, { __tostring = function() return {} end }), 2 }", "{<__tostring failed>, 2}"),
    (
      "setmetatable({ x = 1 }, { __name = 'Point', __pairs = error, __index = error, __len = error })",
      "{x = 1}"
    ),
    ("string", "{byte = function, "),
  ])
  func aTableShowsItsContent(_ code: String, _ text: String) throws {
    let shown = try printed("print(\(code))")
    #expect(code == "string" ? shown.hasPrefix(text) : shown == text)
    #expect(try printed("ctx:log('info', \(code))") == shown)
  }

  @Test func itIsBoundedInEveryDirection() throws {
    #expect(try printed("local t = {} t.t = t t[1] = { t } print(t)") == "{{<cycle>}, t = <cycle>}")
    let many = try printed("local t = {} for i = 1, 300000 do t[i] = i t['k' .. i] = i end print(t)")
    #expect(many.hasPrefix("{1, 2, 3, ") && many.hasSuffix("49, 50, ... 599950 more}"), "\(many)")
    let wide = try printed(
      "local function t(n) if n == 0 then return ('\u{e9}'):rep(50) end local r = {} for i = 1, 40 do r[i] = t(n - 1) end return r end print(t(3))"
    )
    #expect(wide.utf8.count <= 8192 + 3 && wide.hasSuffix("..."))
    let long = try printed("print({ ('\u{e9}'):rep(1000) })")
    #expect(long == "{\"" + String(repeating: "\u{e9}", count: 100) + "...\"}")
    // The table changes under it.
    #expect(
      try printed(
        "local t = { b = 1, c = 2 } t.a = setmetatable({}, { __tostring = function() t.b = nil return 'A' end }) print(t)"
      ) == "{a = A, c = 2}")
    // Inside of what is printed, something prints.
    let host = DictionaryHost()
    _ = try host.execute(
      "print({ setmetatable({}, { __tostring = function() print({ 1 }) ctx:log('info', { 2 }, { x = 3 }) return 'A' end }) })"
    )
    #expect(host.logs.map { $0.split(separator: " ")[2] } == ["{1}", "{2}", "{A}"])
  }

  /// An end of the attempt is not taken for a `__tostring` that failed.
  @Test func theAttemptEndsInside() {
    let host = DictionaryHost()
    host.limits.memoryBytes = 8 << 20
    let failure = host.failure(
      "print({ setmetatable({}, { __tostring = function() local t = {} while true do t[#t + 1] = {} end end }) })"
    )
    #expect(failure.contains("out of memory"), "\(failure)")
  }

  @Test(arguments: [
    ("'a\\x80b'", "a\\x80b"), ("'\\xc3'", "\\xc3"), ("'\u{e9}\\xe9'", "\u{e9}\\xe9"),
    ("'\\xed\\xa0\\x80'", "\\xed\\xa0\\x80"), ("'\\xf0\\x9f\\x98'", "\\xf0\\x9f\\x98"),
    ("'\u{1f600}'", "\u{1f600}"),
    ("{ 'a\\x80', ['\\xff'] = 1 }", "{\"a\\x80\", [\"\\xff\"] = 1}"),
  ])
  func bytesThatAreNoTextAreSpeltOut(_ code: String, _ text: String) throws {
    #expect(try printed("print(\(code))") == text)
    #expect(try printed("ctx:log('info', \(code))") == text)
  }

  @Test func longLinesOfBytesAreCut() throws {
    for count in [16383, 16384, 16385, 65536, 70000, 500_000] {
      let line = try printed("print(('\\x80'):rep(\(count)))")
      #expect(line.utf8.count < 66_000 && line.hasPrefix("\\x80\\x80"))
      #expect(line.hasSuffix("... (cut)") == (count > 16384), "\(count)")
    }
  }

  /// What is logged is never a reason to fail.
  @Test(arguments: [
    "{ ['\\xff'] = 1 }", "{ f = print }", "{ [1] = 1, a = 2 }", "{ text = ('x'):rep(100000) }",
    "(function() local t = {} t.t = t return t end)()",
  ])
  func fieldsThatCannotBeStoredBecomeText(_ fields: String) throws {
    let host = DictionaryHost()
    host.limits.memoryBytes = 64 << 20
    _ = try host.execute("ctx:log('info', 'm', \(fields)) return {}")
    // A map with a field: text.
    #expect(host.logs[0].hasPrefix("info triggers/test.lua:2 m a16474657874"), "\(host.logs)")
    #expect(host.logs[0].utf8.count < 20_000)
  }

  @Test(arguments: [
    ("'@other.lua'", "[load \"other.lua\"]:1: x"), ("'=other.lua'", "[load \"other.lua\"]:1: x"),
    ("'@other.lua:9: forged'", "[load \"other.lua:9: forged\"]:1: x"),
    ("'=a\\n[other 9.9] error'", "[load \"a?[other 9.9] error\"]:1: x"),
    ("'@' .. ('n'):rep(100)", "[load \"\(String(repeating: "n", count: 40))...\"]:1: x"),
    ("'other.lua'", "[string \"other.lua\"]:1: x"), ("nil", "[string \"error('x')\"]:1: x"),
  ])
  func aTextIsNotAFile(_ name: String, _ message: String) throws {
    #expect(try printed("print(select(2, pcall(load(\"error('x')\", \(name)))))") == message)
    // The place of a log line, too.
    let host = DictionaryHost()
    _ = try host.execute("load(\"print('x')\", \(name))()")
    #expect(!host.logs[0].contains(" other.lua:1"), "\(host.logs)")
  }

  @Test func aTextWithoutANameIsNotAFile() throws {
    #expect(
      try printed("print(select(2, load('@other.lua')))").hasPrefix(
        "[load \"other.lua\"]:1: unexpected symbol"))
  }

  @Test(arguments: [
    ("1.75", "00:00:01"), ("0.0", "00:00:00"), ("-0.5", "23:59:59"), ("59.999", "00:00:59"),
    ("'90'", "00:01:30"),
  ])
  func aDateTakesAFraction(_ time: String, _ text: String) throws {
    #expect(try printed("print(os.date('%H:%M:%S', \(time)))") == text)
    #expect(try printed("print(os.date('*t', \(time)).sec)").count > 0)
  }

  @Test(arguments: ["0/0", "1/0", "-1/0", "1e300", "253402300800.5"])
  func aDateOutOfRangeIsRefused(_ time: String) {
    #expect(DictionaryHost().failure("os.date('%H', \(time))").contains("date out of range"), "\(time)")
  }
}
