import TriggerCore
import TriggerHost

/// The guide to tests of scripts, made from the definition of the API.
package enum TestingPage {
  /// `TestingScripts.md`.
  package static var text: String {
    """
    # Testing triggers

    Tests in Lua, beside the scripts they test, on the real engine.

    <!-- Made from Sources/TriggerWorkshop by the tests; UPDATE_GENERATED=1 swift test rewrites it. -->

    A file whose name ends in `_test.lua` holds tests. `trigger-host test` runs all of them in the scripts directory.
    Say the stores before and the event, and look at what comes out:

    ```lua
    -- triggers/counter_test.lua
    \(LuaAPI.testFunctions.first { $0.name == "run" }!.example!.code)
    ```

    Each test is by itself: stores begin as it says, and nothing is left of the test before. The clock stands at
    2026-01-01T00:00:00Z until `at` or `advance` moves it, and `math.random` draws the same numbers every time.

    ```
    trigger-host test                       # the project here
    trigger-host test examples/home --filter DST
    trigger-host test --watch               # again whenever a file is saved
    trigger-host test --junit report.xml    # for build servers; --json for programs
    ```

    When an expectation does not hold, the test ends and the report says where, what was expected and what came, and
    the first place inside the value where they differ.

    ## Time

    The clock of a host moves when the test says so, and only then. `host:send` waits until nothing happens any more
    before the clock moves. What `debounce` or `throttle` holds then, and what is to be tried again, has no result
    yet: it is in `host:waiting()`, comes with `host:advance("5s")`, and `host:settle()` moves the clock for as long as
    anything waits. A test that fails says what was waiting. `run` holds nothing back.

    ```lua
    it("saves five seconds after the last key", function()
      expect(host:send("key", { text = "ab" })):equals {}
      expect(host:waiting()[1]):contains { trigger = "save", reason = "debounce" }
      expect(host:advance("5s")):contains { trigger = "save", outcome = "committed" }
    end)
    ```

    A test that does not end is ended after 10 seconds of real time (`--timeout`), wherever it is: in its own code, in
    `before_each` and `after_each`, or in a call that waits for a host. It fails, the report says what it waited for, and
    the tests after it run. The text of a test file has the same time. A test that takes more than 256 MiB is ended,
    too.

    ## Functions

    \(LuaAPI.testFunctions.map { ScriptingPage.function($0, "") }.joined(separator: "\n"))
    \(LuaAPI.testClasses.map(classText).joined(separator: "\n"))
    A test file can use all that <doc:Scripting> names except `ctx`, and may assign globals of its own; modules of the
    tree load with `require`, as in triggers, and can be tested without a host:

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
