import TriggerCore
import TriggerHost

/// The reference for script authors, made from the definition of the API.
package enum ScriptingPage {
  /// `Scripting.md`.
  package static var text: String {
    """
    # Writing triggers

    Everything a Lua script can use, with an example of each that is run by a test.

    <!-- Made from Sources/TriggerWorkshop by the tests; UPDATE_GENERATED=1 swift test rewrites it. -->

    ## A trigger

    A script is a file below the scripts directory. It returns one table: what it reacts to, and what it does.

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

    `execute` reads stores and returns *intents*, prepared changes. Many executions run at once, each on a snapshot
    that nobody changes under it. When its turn comes, what it read is compared with what was committed meanwhile: if
    it is unchanged the intents are applied, otherwise `execute` runs again on fresh data, unseen by anyone. So write
    as if you were alone, and leave no traces but intents: an execution may run twice, and only its last run counts.

    While `trigger-host run` goes on, a saved script is in force a moment later. One that does not load is refused with its
    line, and its last good version stays in force; with it wait the files that were saved together with it, and those that
    `require` it; all others go live. One that names what is not there is in force with a warning. `trigger-host check` finds
    mistakes before they run, `trigger-host exec` runs one trigger once, `trigger-host repl` lets you try things on a
    snapshot, and <doc:TestingScripts> shows how to test. `trigger-host new DIR` makes a project whose editor settings complete and check
    all that is on this page.

    In the examples `-->` shows what the expression before it gives, or what a `return` changes.

    ## What a script returns

    \(table(["field", "type", ""], LuaAPI.triggerFields.map { ["`\($0.name)`", code($0.type), $0.summary] }))

    `on` holds one name, or a list of names, of each kind:

    \(table(["kind", "type", ""], LuaAPI.bindings.map { ["`\($0.name)`", code($0.type), $0.summary] }))

    In a name, `*` stands for any characters but `/`, and `**` for any at all: `bars/*` takes `bars/EURUSD`, and
    `on = { commit = "orders/**" }` every change of the store `orders`.

    `execute` returns nothing, one intent, or a list. Lists may hold lists, and `false` where an intent is not wanted:
    `return { orders:put(key, order), is_large and ctx:emit("order.large", order) }` works when `is_large` is a boolean.

    ## The event

    `event` is what the sender put in: the fields of a message, the columns of a feed's row, the payload of an
    `emit`. These kinds come with fields of their own:

    \(table(["kind", "field", "type", ""], LuaAPI.events.flatMap { event in event.fields.map { [event.kinds, "`\($0.name)`", code($0.type), $0.summary] } }))

    A schedule's payload (`payload:` in a cron file) is in the event too.

    From outside, feeds and schedules bring events (<doc:Configuration>), and `trigger-host run --stdin` takes them as
    lines of JSON: `{"event": "page/visit", "payload": {"page": "home"}}`.

    ## When it fails

    An error that nobody catches ends the execution: nothing of it is applied, and the log has the message with its line
    and the calls that led there. With `retry` it is tried again, after a pause. What fails for good is kept with its
    event, in a data directory: `trigger-host dead list` shows it, `dead requeue` runs it again, for the trigger
    that failed, when the script is mended.

    Raise one yourself where an event is no good: `error("no such item: " .. event.item)`, or `assert`.

    ## ctx

    \(LuaAPI.context.summary)

    \(members(of: LuaAPI.context))

    ## Stores

    \(LuaAPI.store.summary)

    \(members(of: LuaAPI.store))

    ## Values

    What stores, events and intents can hold:

    | in Lua | in JSON | |
    | --- | --- | --- |
    | `true`, `false` | the same | |
    | `12` | `12` | 64-bit integers stay integers |
    | `1.0` | `1.0` | floats stay floats; NaN and the infinities have no JSON |
    | `"text"` | `"text"` | a text that is not UTF-8 is kept as bytes and has no JSON |
    | `{ 1, 2 }` | `[1, 2]` | a list has no holes |
    | `{ a = 1 }` | `{"a": 1}` | keys are texts |
    | `{}` | `{}` | an empty table is a map; `array {}` is the empty list |
    | `null` | `null` | a value; `nil` is none |

    Functions, coroutines, tables that hold themselves, and tables that mix both kinds of keys are refused with the
    place inside the value. A value may be 1 MiB large and 64 levels deep.

    ## The same every time

    Any past execution can be run again and gives the same: `trigger-host replay --verify` does it. So a script sees no
    clock but the event's time, no chance but its own seed, no files, no network, and no order of `pairs` that changes.
    And no state survives an execution except in stores:

    - Assigning a global is an error; so is changing one of Lua's libraries.
    - A `local` outside of `execute` can be read; when it is assigned, or its table changed, the next execution starts
      from the beginning again. The host notices and runs the file anew for each execution, which costs a little.
    - The same holds for modules: they may keep caches and counters, but those last for one execution.

    ## Functions of our own, and Lua's

    \(LuaAPI.constants.map { field($0, "") }.joined(separator: "\n"))
    \(LuaAPI.functions.prefix(3).map { function($0, "") }.joined(separator: "\n"))
    Lua's own functions are there as the [manual](https://www.lua.org/manual/5.4/manual.html#6) has them, with the
    differences that the last column names:

    \(functionTable(LuaAPI.functions.dropFirst(3).map { ("", $0) }))

    \(LuaAPI.libraries.map(libraryText).joined(separator: "\n"))
    ## What is not there

    \(table(["name", "instead"], LuaAPI.absent.map { ["`\($0.name)`", $0.instead.replacing("|", with: "\\|")] }))

    ## In an editor

    `trigger-host new DIR` sets a project up for Lua language servers: `library/trigger-host.lua` tells them what is on
    this page, `.luarc.json` where things are. For a project of your own, `trigger-host annotations --help` says how to
    make the two. The line `---@type Trigger` before `return {` is what lets a server know `event`, `ctx` and the
    fields of the table.

    The annotations keep to what LuaLS documents, and are tried with the EmmyLua analyzer 0.23. Start that one with
    `--load-stdlib false`: it cannot be told by a file that there is no `io.open` here. No server sees everything: a
    misspelt field of the returned table, for one, is found by `trigger-host check`.

    ## Libraries

    `require "name"` looks for a file in this order, with `/` for each dot of the name:

    \(LuaAPI.modulePaths.enumerated().map { "\($0 + 1). `\($1)`" }.joined(separator: "\n"))

    Paths count from the scripts directory. Your own modules belong into `lib/`. A library written in Lua alone can be
    copied there as it is, `lib/inspect.lua` or `lib/pl/pretty.lua`; `luarocks install --tree lua_modules NAME`, called in
    the scripts directory, works too. A file outside of these two directories is a trigger, unless another file
    requires it and it returns no `execute`. `inspect`, `dkjson`, `argparse`, `basexx` and most of Penlight are run by
    our tests.

    What a library must not expect in here:

    - files, the terminal, other programs, the environment: `io.open`, `os.execute`, `os.getenv`, `os.exit` are not
      there. A library that names them inside of functions loads, and fails when such a function is called;
      `trigger-host check --notes` lists them;
    - more of `debug` than `traceback`, so no `debug.getinfo` or `setfenv`; modules written for Lua 5.1 that call
      `module(...)` do not load;
    - C modules (`lpeg`, `lfs`, `cjson`): `require` finds Lua files only;
    - writing globals or changing the standard library, as `strict` modules and "monkey patches" do;
    - changing `package.path` or filling `package.loaded` and `package.preload`;
    - its own state from one call to the next: see above;
    - the time from `os.time()` to move on while it runs, or `os.clock()` to count.

    ## Limits

    | what | limit | set by |
    | --- | --- | --- |
    | CPU time of an execution | 200 ms | `timeout`, in the script or under `limits` in host.yaml |
    | memory of an execution | 64 MiB | `memory`, likewise |
    | a value | 1 MiB, 64 levels | |
    | source text | a file 1 MiB, one `load` 4 MiB; in a function 10,000 of `break`, `goto`, labels and `elseif`, 50,000 `and` and `or`: more does not compile | |
    | intents of an execution | 10,000, 16 MiB together | |
    | values that the appends of one commit make | 64 MiB together | |
    | keys that a `prepare_commit` has, or changes | 100,000 | |
    | stores that an execution names and that are not there yet | 1,000 | |
    | bindings of a trigger | 100, those with a `*` of 256 bytes | |
    | events that a commit emits | 1,000 | `limits.emits` |
    | hops of a chain of events | 64 | `limits.hops` |
    | operations that come of one cause | 100,000 | `limits.offspring` |
    | log lines of an execution | 1,000, 64 KiB | |

    An execution that goes over a limit fails: nothing of it is applied, and the log says where it was. `pcall` cannot
    catch that, nor can a coroutine.

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
