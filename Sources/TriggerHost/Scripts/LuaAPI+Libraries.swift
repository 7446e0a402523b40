extension LuaAPI {
  /// What there is of Lua's own library. A line with a `change` differs from the manual.
  package static let libraries = [string, table, math, utf8, os, coroutine, io, debug, packageLibrary]

  private static func example(_ line: String) -> Example { Example(line) }

  private static let string = Library(
    name: "string", summary: "Functions for texts. They are methods of texts, too: `(\"abc\"):upper()`.",
    constants: [],
    functions: [
      Function(
        "byte(s: string, i?: integer, j?: integer): integer", "The bytes of a text as numbers.",
        example: example("string.byte(\"AB\", 1, 2)  --> 65, 66")),
      Function(
        "char(...: integer): string", "The text of these bytes.",
        example: example("string.char(72, 105)  --> \"Hi\"")),
      Function(
        "find(s: string, pattern: string, init?: integer, plain?: boolean): integer?, integer?, any",
        "Where a pattern first matches, and its captures.",
        change: "ends a search that takes too long, with the execution",
        example: example("string.find(\"hello\", \"l+\")  --> 3, 4")),
      Function(
        "format(format: string, ...: any): string", "A text made from a format, as in C.",
        change: "has no `%p`; limits widths",
        example: example("string.format(\"%05.2f %q\", 3.14159, \"x\")  --> \"03.14 \\\"x\\\"\"")),
      Function(
        "gmatch(s: string, pattern: string, init?: integer): fun(): string, any",
        "Goes through all matches of a pattern.",
        example: example("string.gmatch(\"a1b2\", \"%d\")()  --> \"1\"")),
      Function(
        "gsub(s: string, pattern: string, repl: string|table|function, n?: integer): string, integer",
        "Replaces matches; gives the new text and the number of matches.",
        example: example("string.gsub(\"hello\", \"l\", \"L\")  --> \"heLLo\", 2")),
      Function(
        "len(s: string): integer", "The number of bytes.", example: example("string.len(\"ä\")  --> 2")),
      Function(
        "lower(s: string): string", "The text in lower case (ASCII letters only).",
        example: example("string.lower(\"ABC\")  --> \"abc\"")),
      Function(
        "match(s: string, pattern: string, init?: integer): any",
        "The captures of the first match, or the match.",
        example: example("string.match(\"key = 12\", \"(%w+) = (%d+)\")  --> \"key\", \"12\"")),
      Function(
        "pack(format: string, ...: any): string", "Values as bytes.",
        example: example("string.byte(string.pack(\">I2\", 258), 1, -1)  --> 1, 2")),
      Function(
        "packsize(format: string): integer", "How many bytes `pack` gives.",
        example: example("string.packsize(\"i4i8\")  --> 12")),
      Function(
        "rep(s: string, n: integer, separator?: string): string", "A text several times.",
        change: "checks memory before it starts",
        example: example("string.rep(\"ab\", 3, \"-\")  --> \"ab-ab-ab\"")),
      Function(
        "reverse(s: string): string", "The bytes backwards.",
        example: example("string.reverse(\"abc\")  --> \"cba\"")),
      Function(
        "sub(s: string, i: integer, j?: integer): string",
        "A part of a text; negative places count from its end.",
        example: example("string.sub(\"hello\", 2, -2)  --> \"ell\"")),
      Function(
        "unpack(format: string, s: string, position?: integer): any",
        "Bytes as values, and the place after them.",
        example: example("string.unpack(\">I2\", \"\\1\\2\")  --> 258, 3")),
      Function(
        "upper(s: string): string", "The text in upper case (ASCII letters only).",
        example: example("(\"abc\"):upper()  --> \"ABC\"")
      ),
    ])

  private static let table = Library(
    name: "table", summary: "Lists.", constants: [],
    functions: [
      Function(
        "concat(list: table, separator?: string, i?: integer, j?: integer): string",
        "The elements as one text.", example: example("table.concat({ 1, 2, 3 }, \", \")  --> \"1, 2, 3\"")),
      Function(
        "insert(list: table, position_or_value: any, value?: any)",
        "Adds an element, at the end or at a place.",
        example: example(
          "(function(t) table.insert(t, 1, \"x\") return t end){ \"y\" }  --> { \"x\", \"y\" }")),
      Function(
        "move(from: table, first: integer, last: integer, position: integer, to?: table): table",
        "Copies elements.", example: example("table.move({ 1, 2, 3 }, 2, 3, 1)  --> { 2, 3, 3 }")),
      Function(
        "pack(...: any): table", "A table of the arguments, with their number as `n`.",
        example: example("table.pack(\"a\", nil).n  --> 2")),
      Function(
        "remove(list: table, position?: integer): any",
        "Takes an element out, the last if no place is given.",
        example: example("table.remove({ \"a\", \"b\" })  --> \"b\"")),
      Function(
        "sort<V>(list: V[], comes_before?: fun(a: V, b: V): boolean)", "Sorts in place.",
        change: "always takes the same steps, so equal elements end up in the same order in every run",
        example: example("(function(t) table.sort(t) return t end){ 3, 1, 2 }  --> { 1, 2, 3 }")),
      Function(
        "unpack(list: table, i?: integer, j?: integer): any", "The elements as separate values.",
        example: example("table.unpack({ 1, 2 })  --> 1, 2")),
    ])

  private static let math = Library(
    name: "math", summary: "Numbers.",
    constants: [
      Field(
        "huge", "number", "Greater than every number.",
        example: example("math.huge > math.maxinteger  --> true")),
      Field(
        "maxinteger", "integer", "The greatest integer.",
        example: example("math.maxinteger  --> 9223372036854775807")),
      Field(
        "mininteger", "integer", "The smallest integer.",
        example: example("math.mininteger  --> -9223372036854775808")),
      Field("pi", "number", "π.", example: example("math.pi  --> 3.1415926535898")),
    ],
    functions: [
      Function("abs(x: number): number", "The absolute value.", example: example("math.abs(-5)  --> 5")),
      Function("acos(x: number): number", "Arc cosine.", example: example("math.acos(1)  --> 0.0")),
      Function("asin(x: number): number", "Arc sine.", example: example("math.asin(0)  --> 0.0")),
      Function(
        "atan(y: number, x?: number): number", "Arc tangent of y/x.",
        example: example("math.atan(0, 1)  --> 0.0")),
      Function("ceil(x: number): integer", "The next integer up.", example: example("math.ceil(3.2)  --> 4")),
      Function("cos(x: number): number", "Cosine of radians.", example: example("math.cos(0)  --> 1.0")),
      Function(
        "deg(x: number): number", "Converts radians to degrees.",
        example: example("math.deg(math.pi)  --> 180.0")),
      Function("exp(x: number): number", "e to the power of x.", example: example("math.exp(0)  --> 1.0")),
      Function(
        "floor(x: number): integer", "The next integer down.", example: example("math.floor(-3.2)  --> -4")),
      Function(
        "fmod(x: number, y: number): number", "The remainder of a division, with the sign of x.",
        example: example("math.fmod(-7, 3)  --> -1")),
      Function(
        "log(x: number, base?: number): number",
        "The logarithm to a base; without a base, the natural logarithm.",
        example: example("math.log(8, 2)  --> 3.0")),
      Function(
        "max(x: number, ...: number): number", "The greatest.", example: example("math.max(2, 7, 5)  --> 7")),
      Function(
        "min(x: number, ...: number): number", "The smallest.", example: example("math.min(2, 7, 5)  --> 2")),
      Function(
        "modf(x: number): number, number", "The whole part and the fraction.",
        example: example("math.modf(3.5)  --> 3, 0.5")),
      Function(
        "rad(x: number): number", "Converts degrees to radians.",
        example: example("math.rad(180) == math.pi  --> true")),
      Function(
        "random(low?: integer, high?: integer): number",
        "A random number: from 0 to 1, or an integer from 1 to low, or from low to high.",
        change:
          "has a seed of its own in each execution; an execution that runs again draws the same numbers",
        example: example("math.random(6) <= 6  --> true")),
      Function(
        "randomseed(x?: number, y?: integer)", "Starts `random` anew from a seed.",
        change: "does nothing without a number, because there is no other source of randomness",
        example: example(
          "(function() math.randomseed(7) local a = math.random(99) math.randomseed(7) return a == math.random(99) end)()  --> true"
        )),
      Function("sin(x: number): number", "Sine of radians.", example: example("math.sin(0)  --> 0.0")),
      Function("sqrt(x: number): number", "The square root.", example: example("math.sqrt(16)  --> 4.0")),
      Function("tan(x: number): number", "Tangent of radians.", example: example("math.tan(0)  --> 0.0")),
      Function(
        "tointeger(x: any): integer?", "The integer that equals a number, or nil.",
        example: example("math.tointeger(3.0)  --> 3")),
      Function(
        "type(x: any): string?", "`integer`, `float`, or nil.",
        example: example("math.type(1.0)  --> \"float\"")),
      Function(
        "ult(m: integer, n: integer): boolean", "m < n as if both were unsigned.",
        example: example("math.ult(1, -1)  --> true")),
    ])

  private static let utf8 = Library(
    name: "utf8", summary: "Texts as characters.",
    constants: [
      Field(
        "charpattern", "string", "A pattern that matches one character.",
        example: example("(\"ä!\"):match(utf8.charpattern)  --> \"ä\""))
    ],
    functions: [
      Function(
        "char(...: integer): string", "The text of these code points.",
        example: example("utf8.char(228, 33)  --> \"ä!\"")),
      Function(
        "codepoint(s: string, i?: integer, j?: integer, lax?: boolean): integer",
        "The code points in a part of a text.", example: example("utf8.codepoint(\"ä\")  --> 228")),
      Function(
        "codes(s: string, lax?: boolean): fun(): integer, integer", "Goes through places and code points.",
        example: example(
          "(function() local n = 0 for _, c in utf8.codes(\"ab\") do n = n + c end return n end)()  --> 195")),
      Function(
        "len(s: string, i?: integer, j?: integer, lax?: boolean): integer?, integer?",
        "The number of characters, or nil and the place that is no UTF-8.",
        example: example("utf8.len(\"äöü\")  --> 3")),
      Function(
        "offset(s: string, n: integer, i?: integer): integer?", "Where the n-th character begins.",
        example: example("utf8.offset(\"äb\", 2)  --> 3")),
    ])

  private static let os = Library(
    name: "os", summary: "The time. Scripts see nothing else of the operating system.", constants: [],
    functions: [
      Function(
        "clock(): number", "Always 0.",
        change: "does not show CPU time, because CPU time differs from run to run",
        example: example("os.clock()  --> 0.0")),
      Function(
        "date(format?: string, time?: number): string",
        "A time as a text, or as a table for the format `*t`.",
        change:
          "shows UTC, in English; without `time` it shows the event's time; a time with a fraction, like `ctx.time`, counts as the second that it lies in",
        example: example("os.date(\"%d %b %Y %H:%M\", 1774746000)  --> \"29 Mar 2026 01:00\""),
        overloads: ["fun(format: \"*t\"|\"!*t\", time?: number): DateTable"]),
      Function(
        "difftime(later: number, earlier: number): number", "Seconds between two times.",
        example: example("os.difftime(90, 30)  --> 60.0")),
      Function(
        "time(date?: table): integer",
        "Seconds since 1970: of the date, or of the event when no date is given.",
        change: "takes the date as UTC",
        example: example("os.time { year = 2026, month = 3, day = 29, hour = 1 }  --> 1774746000")),
    ])

  private static let coroutine = Library(
    name: "coroutine", summary: "Functions that stop half-way and go on later, within one execution.",
    constants: [],
    functions: [
      Function(
        "close(co: thread): boolean, any", "Ends a coroutine.",
        example: example("coroutine.close(coroutine.create(print))  --> true")),
      Function(
        "create(f: function): thread", "Makes a coroutine.",
        example: example("type(coroutine.create(print))  --> \"thread\"")),
      Function(
        "isyieldable(co?: thread): boolean", "Whether it can yield.",
        example: example("coroutine.wrap(function() return coroutine.isyieldable() end)()  --> true")),
      Function(
        "resume(co: thread, ...: any): boolean, any", "Goes on with a coroutine.",
        change: "does not catch the error that ends an execution at a limit",
        example: example("coroutine.resume(coroutine.create(math.max), 3, 9)  --> true, 9")),
      Function(
        "running(): thread, boolean", "The running coroutine, and whether it is the main one.",
        example: example("select(2, coroutine.running())  --> true")),
      Function(
        "status(co: thread): string", "`running`, `suspended`, `normal` or `dead`.",
        example: example("coroutine.status(coroutine.create(print))  --> \"suspended\"")),
      Function(
        "wrap(f: function): function", "A coroutine as a function.",
        example: example("coroutine.wrap(function() coroutine.yield(5) end)()  --> 5")),
      Function(
        "yield(...: any): any", "Stops here; `resume` gives the arguments.",
        example: example("coroutine.wrap(function(x) coroutine.yield(x + 1) end)(1)  --> 2")),
    ])

  private static let io = Library(
    name: "io", summary: "Writes into the log, for libraries that use `io`. There are no files.",
    constants: [
      Field(
        "stdout", "table",
        "Has `write` and `flush`. Each call of `write` makes one line in the log, at level info.",
        example: example("io.stdout:write(\"a\", 1, \"\\n\")  --> logs info: a1")),
      Field(
        "stderr", "table", "The same at level warning.",
        example: example("io.stderr:write(\"low\")  --> logs warning: low")),
    ],
    functions: [
      Function(
        "write(...: string|number): table", "The same as `io.stdout:write`.", change: "goes to the log",
        example: example("io.write(\"total \", 12)  --> logs info: total 12"))
    ])

  private static let debug = Library(
    name: "debug", summary: "The calls that led to an error. Scripts see nothing else of `debug`.",
    constants: [],
    functions: [
      Function(
        "traceback(message?: any, level?: integer): any",
        "A message with the calls that led here: a handler for `xpcall`.",
        example: example("debug.traceback(\"no bread\"):match(\"^[^\\n]+\")  --> \"no bread\""))
    ])

  private static let packageLibrary = Library(
    name: "package", summary: "The settings of `require`. Scripts can read them, and cannot change them.",
    constants: [
      Field(
        "config", "string", "The separators of paths and templates, as in Lua everywhere.",
        example: example("package.config:sub(1, 1)  --> \"/\"")),
      Field(
        "cpath", "string", "Empty: only Lua modules can be loaded.",
        example: example("package.cpath  --> \"\"")),
      Field(
        "loaded", "table", "Lua's own libraries by name; not the modules of the script tree.",
        example: example("package.loaded.math == math  --> true")),
      Field(
        "path", "string", "Where `require` looks, in this order.",
        example: example("package.path:match(\"^[^;]+\")  --> \"?.lua\"")),
      Field("preload", "table", "Empty.", example: example("next(package.preload)  --> nil")),
    ],
    functions: [
      Function(
        "searchpath(name: string, path: string): string?, string?",
        "The file of the script tree that a name stands for, or nil and what was tried.",
        example: example("package.searchpath(\"a.b\", \"?.lua\")  --> nil, \"\\n\\tno file 'a/b.lua'\""))
    ])
}
