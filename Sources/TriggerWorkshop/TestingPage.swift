import TriggerCore
import TriggerHost

/// The guide to tests of scripts, made from the definition of the API.
package enum TestingPage {
  /// `TestingScripts.md`.
  package static var text: String {
    """
    # Testing triggers

    Tests are written in Lua, stand beside the scripts that they test, and run on the real engine.

    <!-- Made from Sources/TriggerWorkshop by the tests; UPDATE_GENERATED=1 swift test rewrites it. -->

    A file whose name ends in `_test.lua` holds tests. `trigger-host test` runs all tests in the scripts directory. A test gives
    a trigger stores and an event, and checks the result:

    ```lua
    -- triggers/counter_test.lua
    \(LuaAPI.testFunctions.first { $0.name == "run" }!.example!.code)
    ```

    Each test is independent: stores begin with the content that the test gives, and nothing is left of the test before. The
    clock stands at 2026-01-01T00:00:00Z until `at` or `advance` moves it. `math.random` draws the same numbers every time.

    ```
    trigger-host test                       # the project here
    trigger-host test examples/home --filter DST
    trigger-host test --watch               # again whenever a file is saved
    trigger-host test --junit report.xml    # for build servers; --json for programs
    ```

    When an expectation does not hold, the test ends. The report names the line, the expected value, the actual value, and the
    first place inside the value where the two differ.

    ## Time

    The clock of a host moves only when the test moves it. `host:send` returns when nothing more can happen before the clock
    moves. An event that `debounce` or `throttle` holds, or that `retry` will try again, has no result then. `host:waiting()`
    lists such events. `host:advance("5s")` moves the clock and returns their results. `host:settle()` moves the clock until no
    event waits. When a test fails, the report says what was waiting. `run` runs its trigger at once, and holds nothing back.

    ```lua
    it("saves five seconds after the last key", function()
      expect(host:send("key", { text = "ab" })):equals {}
      expect(host:waiting()[1]):contains { trigger = "save", reason = "debounce" }
      expect(host:advance("5s")):contains { trigger = "save", outcome = "committed" }
    end)
    ```

    A test has 10 seconds of real time (`--timeout`). Then it is ended, wherever it is: in its own code, in `before_each` and
    `after_each`, or in a call that waits for a host. The test fails, and the report says what it waited for. The tests after it
    run. Loading a test file has the same limit of time. A test that takes more than 256 MiB of memory is ended, too.

    ## Functions

    \(LuaAPI.testFunctions.map { ScriptingPage.function($0, "") }.joined(separator: "\n"))
    \(LuaAPI.testClasses.map(classText).joined(separator: "\n"))
    A test file can use everything on <doc:Scripting> except `ctx`, and it may assign globals of its own. It loads modules of the
    script tree with `require`, as triggers do, and can test them without a host:

    ```lua
    local position = require "lib.position"

    describe("position", function()
      it("is flat at first", function()
        expect(position.new().units):equals(0)
      end)
    end)
    ```

    """
  }

  private static func classText(_ item: LuaAPI.Class) -> String {
    var text = "## \(item.variable == "options" ? item.name : item.variable)\n\n\(item.summary)\n\n"
    if !item.fields.isEmpty {
      text += ScriptingPage.table(
        ["field", "type", ""], item.fields.map { ["`\($0.name)`", ScriptingPage.code($0.type), $0.summary] })
      text += "\n"
    }
    if !item.methods.isEmpty {
      let rows = item.methods.map { method in
        [
          "`:\(method.name)\(method.parameterList)`", method.summary,
          method.example.map { ScriptingPage.code($0.code) } ?? "",
        ]
      }
      text += (item.fields.isEmpty ? "" : "\n") + ScriptingPage.table(["method", "", "example"], rows) + "\n"
    }
    return text
  }
}
