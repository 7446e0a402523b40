import TriggerCore
import TriggerHost

/// The reference for script authors, made from the definition of the API.
package enum ScriptingPage {
  /// `Scripting.md`.
  package static var text: String {
    """
    # Writing triggers

    Everything that a Lua script can use, each with an example. Tests run all of these examples.

    <!-- Made from Sources/TriggerWorkshop by the tests; UPDATE_GENERATED=1 swift test rewrites it. -->

    ## A trigger

    A script is a file below the scripts directory. It returns one table. The table says which events the script reacts to, and
    what it does with them.

    ```lua
    -- triggers/counter.lua
    ---@type Trigger
    return {
      on = { event = "page/visit" },

      execute = function(event, ctx)
        local visits = ctx:store("visits")              -- as of this execution's snapshot
        local seen = visits:get(event.page) or 0
        return { visits:put(event.page, seen + 1) }     -- committed all together, or not at all
      end,
    }
    ```

    `execute` reads stores and returns *intents*: changes that it has prepared. Many executions run at once. Each reads a
    snapshot, which no commit changes. When an execution's turn to commit comes, the host compares what the execution read with
    what was committed meanwhile:

    - If the values that it read are unchanged, the host applies the intents.
    - If one of them has changed, the host drops the intents and runs `execute` again on fresh data. Nobody sees the first run.

    For example, two visits of one page run at once, and both read 3. The first commits 4. The second runs again, reads 4, and
    commits 5. So write a script as if it ran alone. An execution may run twice, and only its last run counts, so it must have
    no effects other than intents.

    While `trigger-host run` goes on, a saved script is in force a moment later. The host refuses a script that does not load,
    names the line of the mistake, and keeps the script's last good version in force. The files that were saved together with
    the broken script wait with it, and so do the files that `require` it. All other files go live. A script that uses a name
    that does not exist goes live with a warning.

    These commands help to write scripts:

    - `trigger-host new DIR` makes a project. Its editor settings complete and check all that is on this page.
    - `trigger-host check` finds mistakes before they run.
    - `trigger-host exec` runs one trigger once.
    - `trigger-host repl` evaluates Lua on a snapshot.
    - `trigger-host test` runs the scripts' tests: <doc:TestingScripts>.

    In the examples, the text after `-->` is the value of the expression before it, or the change that a `return` makes.

    ## What a script returns

    \(table(["field", "type", ""], LuaAPI.triggerFields.map { ["`\($0.name)`", code($0.type), $0.summary] }))

    `on` holds one name, or a list of names, of each kind:

    \(table(["kind", "type", ""], LuaAPI.bindings.map { ["`\($0.name)`", code($0.type), $0.summary] }))

    In a name, `*` stands for any characters except `/`, and `**` for any characters at all. For example, `bars/*` matches
    `bars/EURUSD`, and `on = { commit = "orders/**" }` matches every change of the store `orders`.

    `execute` returns nothing, one intent, or a list of intents. A list may contain lists, and `false` in place of an intent
    that is not wanted. So `return { orders:put(key, order), is_large and ctx:emit("order.large", order) }` works when
    `is_large` is a boolean.

    ## The event

    `event` is the payload that the sender gave: the fields of a message, the columns of a feed's row, or the payload of an
    `emit`. The host itself fills in the events of these kinds:

    \(table(["kind", "field", "type", ""], LuaAPI.events.flatMap { event in event.fields.map { [event.kinds, "`\($0.name)`", code($0.type), $0.summary] } }))

    The event of a schedule also contains the schedule's payload (`payload:` in a cron file).

    Events come from feeds and schedules (<doc:Configuration>) and from other triggers. `trigger-host run --stdin` reads events
    as lines of JSON: `{"event": "page/visit", "payload": {"page": "home"}}`.

    ## When it fails

    An error that the script does not catch ends the execution. The host applies none of its intents, and logs the message with
    the line and the calls that led there. With `retry` the host tries the event again after a pause.

    An operation that has no try left has failed for good. A host with a data directory keeps the operation, with its event.
    `trigger-host dead list` shows such operations. When the script is mended, `trigger-host dead requeue` runs an operation
    again, for the trigger that failed.

    A script raises an error itself when it cannot use an event: `error("no such item: " .. event.item)`, or `assert`.

    ## ctx

    \(LuaAPI.context.summary)

    \(members(of: LuaAPI.context))

    ## Stores

    \(LuaAPI.store.summary)

    \(members(of: LuaAPI.store))

    ## Values

    Stores, events and intents can hold these values:

    | in Lua | in JSON | |
    | --- | --- | --- |
    | `true`, `false` | the same | |
    | `12` | `12` | 64-bit integers stay integers |
    | `1.0` | `1.0` | floats stay floats; NaN and the infinities have no JSON |
    | `"text"` | `"text"` | a text that is not UTF-8 is kept as bytes and has no JSON |
    | `{ 1, 2 }` | `[1, 2]` | a list has no holes |
    | `{ a = 1 }` | `{"a": 1}` | keys are texts |
    | `{}` | `{}` | an empty table is a map; `array {}` is the empty list |
    | `null` | `null` | `null` is a value; `nil` is no value |

    The host refuses functions, coroutines, tables that contain themselves, and tables that mix both kinds of keys. The error
    names the place inside the value. A value may be 1 MiB large and 64 levels deep.

    ## The same every time

    The host can run any past execution again, and the execution gives the same result. `trigger-host replay --verify` does
    this. So that it works:

    - The only time that a script sees is its event's time.
    - Random numbers come from a seed that each execution has.
    - `pairs` goes through a table in a fixed order.
    - A script has no files and no network.

    No state survives an execution, except in stores:

    - It is an error to assign a global, or to change one of Lua's libraries.
    - `execute` may read a `local` that stands outside of it. When `execute` assigns such a local, or changes a table in it,
      the change lasts for this one execution: the next one starts with the original value. The host notices such a script and
      runs its file anew for each execution, which costs a little time.
    - The same holds for modules. A module may keep a cache or a counter, and it lasts for one execution.

    ## Functions of our own, and Lua's

    \(LuaAPI.constants.map { field($0, "") }.joined(separator: "\n"))
    \(LuaAPI.functions.prefix(3).map { function($0, "") }.joined(separator: "\n"))
    Lua's own functions work as the [manual](https://www.lua.org/manual/5.4/manual.html#6) says, except for the differences in
    the last column:

    \(functionTable(LuaAPI.functions.dropFirst(3).map { ("", $0) }))

    \(LuaAPI.libraries.map(libraryText).joined(separator: "\n"))
    ## What is not there

    \(table(["name", "instead"], LuaAPI.absent.map { ["`\($0.name)`", $0.instead.replacing("|", with: "\\|")] }))

    ## In an editor

    `trigger-host new DIR` sets up a project for Lua language servers. `library/trigger-host.lua` tells the server everything on
    this page, and `.luarc.json` tells it where the files are. For a project that exists already,
    `trigger-host annotations --help` says how to make these two files. Put the line `---@type Trigger` before `return {`, so
    that the server knows `event`, `ctx` and the fields of the table.

    The annotations use only what LuaLS documents. They are also tried with the EmmyLua analyzer 0.23. Start the EmmyLua
    analyzer with `--load-stdlib false`, because no file can tell it that scripts have no `io.open`. No language server finds
    every mistake. For example, only `trigger-host check` finds a misspelt field of the returned table.

    ## Libraries

    `require "name"` turns each dot of the name into `/`, and looks for a file in this order:

    \(LuaAPI.modulePaths.enumerated().map { "\($0 + 1). `\($1)`" }.joined(separator: "\n"))

    Paths are relative to the scripts directory. Put your own modules into `lib/`. You can copy a library that is written in pure
    Lua there as it is, for example to `lib/inspect.lua` or `lib/pl/pretty.lua`. You can also call
    `luarocks install --tree lua_modules NAME` in the scripts directory. A file outside of `lib/` and `lua_modules/` is a
    trigger, unless another file requires it and it returns no `execute`. Tests run `inspect`, `dkjson`, `argparse`, `basexx`
    and most of Penlight.

    A library cannot use the following in a script:

    - Files, the terminal, other programs and the environment: there is no `io.open`, `os.execute`, `os.getenv` or `os.exit`. A
      library that uses such a name only inside a function loads, and fails when that function is called.
      `trigger-host check --notes` lists these uses.
    - Anything of `debug` except `traceback`, so no `debug.getinfo`, and no `setfenv`. Modules for Lua 5.1 that call
      `module(...)` do not load.
    - C modules (`lpeg`, `lfs`, `cjson`): `require` finds Lua files only.
    - New globals, or changes of the standard library, as `strict` modules and "monkey patches" make them.
    - Changes of `package.path`, or entries in `package.loaded` and `package.preload`.
    - State of its own that lasts from one execution to the next: see above.
    - A clock that moves: `os.time()` stands still while a script runs, and `os.clock()` is always 0.

    ## Limits

    | what | limit | set by |
    | --- | --- | --- |
    | CPU time of an execution | 200 ms | `timeout`, in the script or under `limits` in host.yaml |
    | memory of an execution | 64 MiB | `memory`, likewise |
    | a value | 1 MiB, 64 levels | |
    | source text | a file 1 MiB, one `load` 4 MiB; a function with more than 10,000 of `break`, `goto`, labels and `elseif`, or more than 50,000 `and` and `or`, does not compile | |
    | intents of an execution | 10,000, 16 MiB together | |
    | values that the appends of one commit make | 64 MiB together | |
    | keys that the data of a `prepare_commit` has, or that it changes | 100,000 | |
    | stores that an execution names and that do not exist yet | 1,000 | |
    | bindings of a trigger | 100; a name with a `*` may have 256 bytes | |
    | events that a commit emits | 1,000 | `limits.emits` |
    | hops of a chain of events | 64 | `limits.hops` |
    | operations that one cause leads to | 100,000 | `limits.offspring` |
    | log lines of an execution | 1,000, 64 KiB | |

    An execution that goes over a limit fails. The host applies none of its intents, and the log says where the execution was.
    Neither `pcall` nor a coroutine can catch this.

    """
  }

  // MARK: Pieces

  private static func members(of item: LuaAPI.Class) -> String {
    (item.fields.map { field($0, item.variable + ".") }
      + item.methods.map { function($0, item.variable + ":") })
      .joined(separator: "\n")
  }

  static func field(_ field: LuaAPI.Field, _ owner: String) -> String {
    "### `\(owner)\(field.name)`\n\n\(field.summary)\n\(field.example.map { "\n" + block($0) } ?? "")"
  }

  static func function(_ function: LuaAPI.Function, _ owner: String) -> String {
    var text = "### `\(owner)\(function.name)\(function.parameterList)`\n\n\(function.summary)"
    if let change = function.change { text += " Other than in Lua, it \(change)." }
    if !function.details.isEmpty { text += " " + function.details }
    return text + "\n" + (function.example.map { "\n" + block($0) } ?? "")
  }

  static func block(_ example: LuaAPI.Example) -> String {
    var lines = ["```lua"]
    if !example.stores.isEmpty { lines.append("-- stores: \(example.stores)") }
    if !example.event.isEmpty { lines.append("-- event: \(example.event)") }
    return (lines + [example.code, "```", ""]).joined(separator: "\n")
  }

  private static func libraryText(_ library: LuaAPI.Library) -> String {
    var text = "### \(library.name)\n\n\(library.summary)\n\n"
    if !library.functions.isEmpty {
      text += functionTable(library.functions.map { (library.name + ".", $0) }) + "\n"
    }
    if !library.constants.isEmpty {
      let rows = library.constants.map {
        ["`\(library.name).\($0.name)`", $0.summary] + shown($0.example)
      }
      text +=
        (library.functions.isEmpty ? "" : "\n") + table(["constant", "", "example", "gives"], rows) + "\n"
    }
    return text
  }

  private static func functionTable(_ functions: [(owner: String, function: LuaAPI.Function)]) -> String {
    let rows = functions.map { owner, function in
      ["`\(owner)\(function.name)\(function.parameterList)`", function.summary] + shown(function.example) + [
        function.change ?? ""
      ]
    }
    return table(["function", "", "example", "gives", "other than in Lua"], rows)
  }

  /// Expression and result of a one-line example.
  private static func shown(_ example: LuaAPI.Example?) -> [String] {
    guard let parts = example?.code.firstRange(of: "-->"), let code = example?.code else { return ["", ""] }
    let expression = code[..<parts.lowerBound].reversed().drop { $0 == " " }.reversed()
    return [self.code(String(expression)), self.code(String(code[parts.upperBound...].drop { $0 == " " }))]
  }

  static func code(_ text: String) -> String { "`" + text.replacing("|", with: "\\|") + "`" }

  static func table(_ heading: [String], _ rows: [[String]]) -> String {
    ([heading, heading.map { _ in "---" }] + rows).map { "| " + $0.joined(separator: " | ") + " |" }
      .joined(separator: "\n")
  }
}
