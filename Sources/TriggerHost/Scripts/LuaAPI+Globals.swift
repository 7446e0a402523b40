extension LuaAPI {
  package static let constants = [
    Field(
      "null", "userdata",
      "JSON's null. Stores and events can hold `null`, because it is a value; `nil` is no value at all.",
      example: Example(
        "local chairs = ctx:store(\"chairs\")\nchairs:get(\"red\") == null       --> true\nchairs:get(\"blue\")             --> nil\ntostring(null)                 --> \"null\"",
        stores: "chairs = { red = null }")),
    Field(
      "_VERSION", "string", "Lua's version.",
      example: Example("_VERSION                       --> \"Lua 5.4\"")),
    Field(
      "_G", "table", "All global names. Scripts cannot add names: use `local`, or keep state in a store.",
      example: Example("_G.print == print              --> true")),
  ]

  /// Ours first, then those of Lua, as there.
  package static let functions = [
    Function(
      "array<T>(list: T): T",
      "Marks a table as a list, so that it is a list even when it is empty. An empty table without the mark becomes an empty map.",
      details: "It returns the same table. Lists that come from a store or an event carry the mark already.",
      example: Example(
        """
        local s = ctx:store("s")
        return { s:put("list", array {}), s:put("map", {}) }  --> s/list = []; s/map = {}
        """)),
    Function(
      "print(...: any)", "Writes its arguments to the host's log at level info, with tabs between them.",
      details:
        "It shows the content of a table, in the order of `pairs`, unless the table has a `__tostring`. It shows 4 levels, 50 entries of each table, and 8 KiB; `<cycle>` stands for a table inside itself. It writes bytes that are not UTF-8 as escapes like `\\x80`.",
      change: "goes to the log, with trigger, seq and attempt",
      example: Example("print(\"units\", 10)             --> logs info: units\t10")),
    Function(
      "require(name: string): any", "Loads a module of the script tree once and gives what it returned.",
      details:
        "`\"lib.rsi\"` and `\"rsi\"` both find `lib/rsi.lua`; see [Libraries](#Libraries) for where it looks. The host keeps a module between executions when nothing reachable from it can change. Otherwise it runs the module anew for each execution. So no module can carry state from one execution to the next.",
      change: "looks in the script tree only",
      example: Example("require \"string\" == string      --> true")),
    Function(
      "assert<T>(value: T, message?: any, ...: any): T, any", "Raises an error when a value is false or nil.",
      example: Example("assert(1 < 2, \"no\")             --> true, \"no\"")),
    Function(
      "error(message: any, level?: integer)", "Raises an error.",
      example: Example("error(\"no bread\", 0)            --> error: no bread")),
    Function(
      "getmetatable(object: any): table?", "The metatable of a value, or what its `__metatable` says.",
      change: "does not show the metatable of strings",
      example: Example("getmetatable({})               --> nil")),
    Function(
      "ipairs<V>(list: V[]): fun(): integer, V", "Goes through 1, 2, ... up to the first nil.",
      example: Example("(function() for i, v in ipairs { 5 } do return i, v end end)()  --> 1, 5")),
    Function(
      "load(chunk: string|function, name?: string, mode?: string, env?: table): function?, string?",
      "Compiles Lua text and gives a function, or nil and what is wrong.",
      change:
        "takes text only, no bytecode; shows a name like `@a.lua` as `[load \"a.lua\"]`, so that it cannot be taken for a file",
      example: Example("load(\"return 1 + 1\")()          --> 2")),
    Function(
      "next<K, V>(table: table<K, V>, key?: K): K?, V?", "The key after another, and its value.",
      change: "goes in the order of `pairs`",
      example: Example("next({ b = 1, a = 2 })         --> \"a\", 2")),
    Function(
      "pairs<K, V>(table: table<K, V>): fun(): K, V", "Goes through all keys and values.",
      change:
        "goes in a fixed order: numbers by value, strings by bytes, booleans, then tables, functions and coroutines in the order in which they were made: first those of the libraries, then those of files, by path, then those of the execution",
      example: Example(
        "(function() local s = \"\" for k in pairs { b = 1, a = 2, 9 } do s = s .. k end return s end)()  --> \"1ab\""
      )),
    Function(
      "pcall(f: function, ...: any): boolean, any", "Calls a function and catches its errors.",
      change: "does not catch the error that ends an execution at a limit (time, memory)",
      example: Example("pcall(error, \"no\")              --> false, \"no\"")),
    Function(
      "rawequal(a: any, b: any): boolean", "Whether two values are the same, without `__eq`.",
      example: Example("rawequal(\"a\", \"a\")             --> true")),
    Function(
      "rawget(table: table, key: any): any", "A table's field without `__index`.",
      example: Example("rawget({ a = 1 }, \"a\")         --> 1")),
    Function(
      "rawlen(value: table|string): integer", "The length without `__len`.",
      example: Example("rawlen({ 1, 2 })               --> 2")),
    Function(
      "rawset<T>(table: T, key: any, value: any): T", "Sets a table's field without `__newindex`.",
      example: Example("rawset({}, \"a\", 1)             --> { a = 1 }")),
    Function(
      "select(n: integer|\"#\", ...: any): any", "The arguments from the n-th on, or their number.",
      example: Example("select(2, \"a\", \"b\", \"c\")       --> \"b\", \"c\"")),
    Function(
      "setmetatable<T>(table: T, metatable?: table): T", "Gives a table a metatable.",
      change: "refuses `__gc`; weak tables are strong",
      example: Example("setmetatable({}, { __len = function() return 7 end })  --> {}")),
    Function(
      "tonumber(value: any, base?: integer): number?", "The number that a text stands for, or nil.",
      example: Example("tonumber(\"ff\", 16)              --> 255")),
    Function(
      "tostring(value: any): string", "A text for any value.",
      change: "shows no addresses: a table reads `table`",
      example: Example("tostring({})                   --> \"table\"")),
    Function(
      "type(value: any): string", "The name of a value's type.",
      example: Example("type(null)                     --> \"userdata\"")),
    Function(
      "warn(message: string, ...: string)", "Writes a warning to the host's log.",
      change: "goes to the log, as `print`",
      example: Example("warn(\"low\", \" tide\")          --> logs warning: low tide")),
    Function(
      "xpcall(f: function, handler: function, ...: any): boolean, any",
      "Calls a function; a handler gets the error where it happened.",
      change:
        "does not catch the error that ends an execution at a limit, and does not call the handler for it",
      example: Example("xpcall(error, string.upper, \"no\")  --> false, \"NO\"")),
  ]

  /// Of Lua and its neighbours: global names and fields of libraries that are not here, and what to do.
  package static let absent: [(name: String, instead: String)] = [
    ("io.open", "a script has no files: keep data in stores, let feeds and events bring it"),
    ("io.lines", "a script has no files: let a feed bring the lines"),
    ("io.read", "the event is what a script gets"),
    ("io.popen", "a script cannot start programs"),
    ("io.close", "a script has no files"),
    ("io.input", "a script has no files"),
    ("io.output", "a script has no files"),
    ("io.tmpfile", "a script has no files"),
    ("io.type", "a script has no files"),
    ("os.execute", "a script cannot start programs"),
    ("os.exit", "return from execute, or raise an error"),
    ("os.getenv", "put settings into a store or a module"),
    ("os.remove", "a script has no files"),
    ("os.rename", "a script has no files"),
    ("os.tmpname", "a script has no files"),
    ("os.setlocale", "the locale is always C"),
    ("debug.getinfo", "errors come with their place by themselves"),
    ("debug.sethook", "trigger-host exec --trace shows every line"),
    ("debug.getlocal", "a function's locals are its own"),
    ("debug.getupvalue", "a function's variables are its own"),
    ("debug.setupvalue", "a function's variables are its own"),
    ("debug.getmetatable", "use getmetatable"),
    ("debug.setmetatable", "use setmetatable"),
    ("collectgarbage", "memory is limited and given back per execution"),
    ("dofile", "use require"),
    ("loadfile", "use require"),
    ("arg", "the event is what a script gets"),
    ("string.dump", "bytecode is not loaded"),
    ("package.loadlib", "only Lua modules can be loaded"),
    ("package.searchers", "require looks in the script tree only"),
    // Of older versions of Lua.
    ("unpack", "use table.unpack"),
    ("loadstring", "use load"),
    ("setfenv", "give load an environment"),
    ("getfenv", "give load an environment"),
    ("module", "return a table from the module"),
    ("newproxy", "use a table"),
    ("bit32", "use the operators & | ~ << >>"),
    ("bit", "use the operators & | ~ << >>"),
    ("jit", "this is Lua 5.4"),
    ("table.getn", "use #"),
    ("table.maxn", "use #"),
    ("table.foreach", "use pairs"),
    ("math.pow", "use x ^ y"),
    ("math.log10", "use math.log(x, 10)"),
    ("math.mod", "use math.fmod or %"),
    ("math.cosh", "use math.exp"),
    ("math.sinh", "use math.exp"),
    ("math.tanh", "use math.exp"),
    ("math.frexp", "use math.log"),
    ("math.ldexp", "use x * 2.0 ^ n"),
    ("string.gfind", "use string.gmatch"),
  ]
}
