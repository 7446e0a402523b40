import Testing
import TriggerLua

/// Encodings after RFC 8949, appendix A, and the errors that name the path inside a value.
struct CodecTests {
  static let canonical: [(String, String)] = [
    ("0", "00"), ("23", "17"), ("24", "1818"), ("255", "18ff"), ("256", "190100"), ("65536", "1a00010000"),
    ("1 << 32", "1b0000000100000000"), ("-1", "20"), ("-256", "38ff"),
    ("math.mininteger", "3b7fffffffffffffff"),
    ("math.maxinteger", "1b7fffffffffffffff"),
    ("0.0", "f90000"), ("-0.0", "f98000"), ("1.0", "f93c00"), ("1.5", "f93e00"), ("65504.0", "f97bff"),
    ("100000.0", "fa47c35000"), ("3.4028234663852886e+38", "fa7f7fffff"), ("1.1", "fb3ff199999999999a"),
    ("5.960464477539063e-8", "f90001"), ("0.00006103515625", "f90400"), ("1e300", "fb7e37e43c8800759c"),
    ("1/0", "f97c00"), ("-1/0", "f9fc00"), ("0/0", "f97e00"), ("-4.1", "fbc010666666666666"),
    ("true", "f5"), ("false", "f4"), ("null", "f6"), ("''", "60"), ("'IETF'", "6449455446"),
    ("'\\u{fc}'", "62c3bc"), ("'\\xff'", "41ff"), ("'\\xc0\\x80'", "42c080"),
    ("'\\xed\\xa0\\x80'", "43eda080"),
    ("{}", "a0"), ("array{}", "80"), ("{1, 2, {3}}", "8301028103"),
    ("{b = 1, a = 2, aa = 3, ['\\u{e9}'] = 4}", "a46161026162016261610362c3a904"),
    ("setmetatable({1}, {__index = {}})", "8101"),
  ]

  @Test(arguments: canonical)
  func valuesEncodeCanonically(expression: String, hex: String) throws {
    #expect(try DictionaryHost().encode(expression) == hex)
  }

  @Test(arguments: canonical.map(\.1))
  func decodedValuesEncodeToTheSameBytes(hex: String) throws {
    let host = DictionaryHost()
    host.set("s", "k", hex)
    #expect(try host.execute("local s = ctx:store('s'); return s:put('out', s:get('k'))")[0].value == hex)
    #expect(try host.execute("return ctx:store('s'):put('out', event)", event: hex)[0].value == hex)
  }

  @Test func largeMapsAreInOrder() throws {
    let host = DictionaryHost()
    let script = "local t = {} for i = 1, 300 do t['k' .. (i * 7919 % 1000)] = i end return t"
    let hex = try host.encode("(function() \(script) end)()")
    let keys = stride(from: 0, to: 1000, by: 1).filter { n in (1...300).contains { $0 * 7919 % 1000 == n } }
    let expected = keys.map { "k\($0)" }.sorted {
      ($0.utf8.count, $0) < ($1.utf8.count, $1)
    }
    #expect(hex.hasPrefix("b9012c"))
    var at = hex.startIndex
    for key in expected {
      let length = UInt8(0x60 + key.utf8.count)
      let encoded: String = ([length] + Array(key.utf8)).withUnsafeBytes { $0.hex }
      let found = hex[at...].firstRange(of: encoded)
      #expect(found != nil, "\(key) out of order")
      at = found?.upperBound ?? at
    }
  }

  static let refused: [(String, String)] = [
    ("{items = {1, 2, {f = print}}}", "value.items[3].f: a function cannot be stored"),
    ("{1, nil, 3}", "value: a table with holes, or with both list and map keys, cannot be stored"),
    ("{1, 2, a = 3}", "value: a table with holes, or with both list and map keys, cannot be stored"),
    ("{a = {[true] = 1}}", "value.a: a table with a boolean key cannot be stored"),
    ("{[1.5] = 1}", "value: a table with a number key cannot be stored"),
    ("{[3] = 1}", "value: a table with holes"),
    (
      "(function() local t = {} t.t = t return t end)()",
      "value.t: a table that contains itself cannot be stored"
    ),
    // What is too deep first is another table, at a level where one has been in itself for long.
    (
      "(function() local t = {} t.t = {{}, t} return t end)()",
      "value.t[2]: a table that contains itself cannot be stored"
    ),
    // Too deep before anything has come twice: a list with links to and fro, and a ring.
    (
      "(function() local t = {} local r = t for i = 1, 30 do t.n = {b = t} t = t.n end return r end)()",
      "value.n.b: a table that contains itself cannot be stored"
    ),
    (
      "(function() local t = {} local r = t for i = 1, 30 do t = {t} end r[1] = t return t end)()",
      "value" + String(repeating: "[1]", count: 31) + ": a table that contains itself cannot be stored"
    ),
    // Too large, or wrong in another way, before.
    (
      "(function() local t = {x = ('x'):rep(30000)} t.y = {t} return {t} end)()",
      "value[1].y[1]: a table that contains itself cannot be stored"
    ),
    (
      "(function() local t = {a = print} t.b = {1, t} return t end)()",
      "value.b[2]: a table that contains itself cannot be stored"
    ),
    // Not in itself: the same one twice.
    ("(function() local t = {} return {t, t, {t}, print} end)()", "value[4]: a function cannot be stored"),
    ("(function() local t = {} for i = 1, 25 do t = {t} end return t end)()", "nested deeper than 20 levels"),
    ("('x'):rep(100001)", "value: the value is larger than 100000 bytes"),
    ("{a = {['\\xff'] = 1}}", "value.a: a table with a key that is not UTF-8 text cannot be stored"),
    ("{c = coroutine.create(print)}", "value.c: a coroutine cannot be stored"),
    ("{c = ctx}", "value.c: a store or context cannot be stored"),
  ]

  @Test(arguments: refused)
  func refusalsNameThePath(expression: String, text: String) {
    let failure = DictionaryHost().failure("return ctx:store('s'):put('k', \(expression))")
    #expect(failure.contains(text), "\(failure)")
    #expect(failure.hasPrefix("triggers/test.lua:2: "))
  }

  /// Lua's own order of keys differs from state to state; scripts see the message.
  @Test(arguments: [
    ("{d = print, c = print, b = {e = print}, a = {}}", "value.b.e: a function cannot be stored"),
    ("{d = {[1.5] = 1, [true] = 1, [print] = 1}, e = print}", "value.d: a table with a boolean key"),
    ("{b = {['\\xff'] = 1}, c = {1, nil, 3}, a = 1}", "value.b: a table with a key that is not UTF-8 text"),
    ("{b = ('x'):rep(100001), c = print, a = 1}", "value: the value is larger than 100000 bytes"),
    (
      "(function() local t = {e = print, d = {}} t.c, t.b = t, t return t end)()",
      "value.b: a table that contains itself cannot be stored"
    ),
  ])
  func theFirstInOrderIsNamed(expression: String, text: String) {
    for _ in 0..<10 {
      let failure = DictionaryHost().failure("return ctx:store('s'):put('k', \(expression))")
      #expect(failure.contains(text), "\(failure)")
    }
  }

  @Test func listsBuiltBackwardsEncodeInOrder() throws {
    #expect(try DictionaryHost().encode("{[3] = 3, [2] = 2, [1] = 1}") == "83010203")
  }

  @Test func frozenTablesEncodeThroughTheirContent() throws {
    let host = DictionaryHost()
    let trigger = try host.load(
      "local t = {a = {1, 2}, e = array{}}; return {execute = function(e, ctx) return ctx:store('s'):put('k', t) end}"
    )
    for _ in 0..<2 { #expect(try host.run(trigger)[0].value == "a26161820102616580") }
  }
}
