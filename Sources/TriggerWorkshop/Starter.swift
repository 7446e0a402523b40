import TriggerHost

/// The project that `trigger-host new DIR` writes: one trigger, one module, one job, settings for editors.
package enum Starter {
  /// Paths below the new directory, with what goes into them.
  package static let files: [(path: String, contents: String)] = [
    ("host.yaml", host),
    ("cron.yaml", cron),
    ("triggers/hello.lua", hello),
    ("triggers/hello_test.lua", test),
    ("triggers/lib/greeting.lua", greeting),
    ("README.md", readme),
    (".gitignore", "data/\n"),
    (".luarc.json", LuaAPI.languageServerSettings),
    ("library/trigger-host.lua", LuaAPI.annotations),
  ]

  private static let host = """
    # What this host runs. Everything left out has its default.
    scripts: triggers      # every .lua file in here is a trigger, except those below lib/
    cron: cron.yaml        # jobs by the clock

    stores:
      greetings: {}        # counts by name
    # strict_stores: true  # only these: a misspelt store name in a script is an error

    limits:
      timeout: 200ms       # CPU time of one execution
      memory: 64mb

    log_level: info

    """

  private static let cron = """
    # Jobs by the clock. `cron` takes five fields, or six with seconds first; `every` and `at` exist too.
    schedules:
      - name: hello
        every: 5s
        trigger: hello           # triggers/hello.lua
        payload: { name: world }

      # - name: morning
      #   cron: "30 7 * * mon-fri"
      #   timezone: Europe/Berlin
      #   trigger: hello
      #   payload: { name: early bird }

    """

  private static let hello = """
    -- Greets whoever the event names, and counts the greetings in a store.

    local greeting = require "lib.greeting"

    ---@type Trigger
    return {
      on = { message = "hello" },

      execute = function(event, ctx)
        local name = event.name or "stranger"
        local greetings = ctx:store("greetings")
        local count = (greetings:get(name) or 0) + 1

        ctx:log("info", greeting.text(name, count), { name = name, count = count })

        -- Preparing a change changes nothing. What is returned is committed, all of it or none.
        -- `add` lets many executions count at once without getting in each other's way.
        return { greetings:add(name, 1) }
      end,
    }

    """

  private static let test = """
    -- Run by `trigger-host test`.

    describe("hello", function()
      it("greets and counts", function()
        local result = run("hello", { name = "Ada" }, { stores = { greetings = { Ada = 1 } } })
        expect(result):succeeds()
        expect(result.logs):contains { message = "hello again, Ada (2)" }
        expect(result.stores.greetings.Ada):equals(2)
      end)

      it("is run every five seconds", function()
        expect(host:advance("10s")):has_length(2)
      end)
    end)

    """

  private static let greeting = """
    -- A module: plain functions without state. Triggers load it with require "lib.greeting".

    local greeting = {}

    function greeting.text(name, count)
      if count == 1 then return "hello, " .. name end
      return ("hello again, %s (%d)"):format(name, count)
    end

    return greeting

    """

  private static let readme = """
    # My triggers

        trigger-host check             # is everything in order?
        trigger-host test              # do the triggers do what their tests say?
        trigger-host run               # run, and forget everything at the end
        trigger-host run --data data   # run, and keep every commit in data/
        trigger-host exec triggers/hello.lua --event '{"name": "you"}'   # one trigger, once

    - `host.yaml` says what the host runs.
    - `cron.yaml` lists jobs by the clock.
    - `triggers/` holds the triggers. Save one and it runs from then on; a broken save is said with its line, and
      changes nothing. `*_test.lua` files are their tests.
    - `triggers/lib/` holds modules for `require "lib.name"`.
    - `.luarc.json` and `library/` tell Lua language servers what scripts can use, so that editors complete and
      check it; `trigger-host annotations > library/trigger-host.lua` brings them up to a newer version.

    """
}
