extension LuaAPI {
  /// What `*_test.lua` files can use beside everything else.
  package static let testFunctions = [
    Function("describe(subject: string, body: fun())", "Groups tests; groups may hold groups."),
    Function(
      "it(behaviour: string, body: fun())",
      "One test. It fails when an expectation in it fails, or an error is raised."),
    Function(
      "pending(behaviour: string, body?: fun())", "A test that is not run yet; reported, and no failure."),
    Function(
      "before_each(body: fun())", "Runs before every test of the group it is in, and of groups in that."),
    Function(
      "after_each(body: fun())", "Runs after every test of the group it is in, also after one that failed."),
    Function("expect(value: any): Expectation", "Begins an expectation of a value."),
    Function(
      "run(trigger: string, event?: any, options?: RunOptions): Result",
      "Runs one trigger once, on the real engine with its real limits, and gives what came of it. `trigger` is its name or its file. Nothing else runs: what it emits is in the result. It runs at once, whatever `debounce`, `throttle` or `mode` it has, and is not tried again.",
      example: Example(
        """
        describe("counter", function()
          it("counts a visit", function()
            local result = run("counter", { page = "home" }, { stores = { visits = { home = 3 } } })
            expect(result):succeeds()
            expect(result.intents):equals { { store = "visits", kind = "add", key = "home", value = 1 } }
            expect(result.emitted):contains { name = "visited", payload = { page = "home" } }
            expect(result.stores.visits.home):equals(4)
          end)
        end)
        """)),
    Function(
      "host(options?: HostOptions): Host",
      "A whole host with all triggers and schedules, and a clock that stands still until it is moved. `host:send(...)` uses one that each test has by itself.",
      example: Example(
        """
        it("answers an order with a bill, and reminds after a day", function()
          local h = host { at = "2026-03-28T12:00:00Z", stores = { prices = { pear = 2 } } }
          h:send("order", { what = "pear", units = 3 })
          expect(h:store("bills")):equals { pear = 6 }
          local results = h:advance("24h")
          expect(results):contains { trigger = "remind" }
          expect(results[1].logs):contains { message = "pear is not paid" }
        end)
        """)),
  ]

  /// What `expect`, `run` and `host` give and take.
  package static let testClasses = [
    Class(
      name: "Expectation", variable: "expect(value)", summary: "What a value is expected to be.",
      fields: [
        Field("never", "Expectation", "Turns the next expectation round: `expect(2).never:equals(3)`.")
      ],
      methods: [
        Function(
          "equals(expected: any): Expectation", "Equal, tables by their content.",
          example: Example("expect({ a = { 1 } }):equals { a = { 1 } }")),
        Function(
          "is(expected: any): Expectation", "The very same value, table or function.",
          example: Example("expect(print):is(print)")),
        Function("is_nil(): Expectation", "Nil.", example: Example("expect(nil):is_nil()")),
        Function(
          "is_true(): Expectation", "`true`, and no other value.", example: Example("expect(1 < 2):is_true()")
        ),
        Function(
          "is_false(): Expectation", "`false`, and no other value.",
          example: Example("expect(2 < 1):is_false()")),
        Function(
          "is_near(expected: number, tolerance?: number): Expectation",
          "A number within a tolerance, 1e-9 by default.", example: Example("expect(0.1 + 0.2):is_near(0.3)")),
        Function(
          "is_above(number: number): Expectation", "Greater than a number.",
          example: Example("expect(3):is_above(2)")),
        Function(
          "is_below(number: number): Expectation", "Less than a number.",
          example: Example("expect(2):is_below(3)")),
        Function(
          "contains(part: any): Expectation",
          "A text that has a text in it; a list with an element that equals `part`, or has all its fields; a table that has all its fields.",
          example: Example("expect({ { kind = \"put\", key = \"a\" } }):contains { key = \"a\" }")),
        Function(
          "matches(pattern: string): Expectation", "A text that matches a Lua pattern.",
          example: Example("expect(\"seq 12\"):matches(\"^seq %d+$\")")),
        Function(
          "has_length(length: integer): Expectation", "A list or text of this length.",
          example: Example("expect({ 1, 2 }):has_length(2)")),
        Function(
          "succeeds(): Expectation",
          "A result that committed, a list of such results, or a function that raises no error.",
          example: Example("expect(function() return 1 end):succeeds()")),
        Function(
          "fails_with(text: string): Expectation",
          "A result that failed, or a function that raises an error, with this text in its message.",
          example: Example("expect(function() error(\"no bread\") end):fails_with(\"no bread\")")),
      ]),
    Class(
      name: "Result", variable: "result", summary: "What came of one execution.",
      fields: [
        Field("trigger", "string", "The trigger's name."),
        Field("event", "string", "The event's name."),
        Field("seq", "integer", "Its seq."),
        Field("try", "integer", "Which try it was, of a trigger with `retry`: 1 for the first."),
        Field("outcome", "\"committed\"|\"failed\"|\"skipped\"|\"deferred\"", "How it ended."),
        Field("error", "string?", "Message and traceback when it failed."),
        Field("code", "string?", "The word of the failure, like `timeout` or `refused`."),
        Field(
          "intents", "ResultIntent[]",
          "What it returned, in order. `{}` when it failed."
        ),
        Field("emitted", "ResultEvent[]", "The events it emitted."),
        Field("logs", "ResultLog[]", "What it logged."),
        Field("stores", "table<string, table<string, any>>", "Every store afterwards; of `run` only."),
      ], methods: []),
    Class(
      name: "ResultIntent", variable: "result.intents[1]", summary: "An intent that a trigger returned.",
      fields: [
        Field("store", "string", "The store's name."),
        Field(
          "kind", "\"put\"|\"delete\"|\"add\"|\"max\"|\"min\"|\"append\"|\"append_text\"|\"replace\"",
          "What it does; `replace` is that of `prepare_commit`."),
        Field("key", "string", "Of all but `replace`."),
        Field("value", "any", "Of all but `delete`."),
      ], methods: []),
    Class(
      name: "ResultEvent", variable: "result.emitted[1]", summary: "An event that a trigger emitted.",
      fields: [Field("name", "string", "Its name."), Field("payload", "any", "What is in it.")], methods: []),
    Class(
      name: "ResultLog", variable: "result.logs[1]", summary: "A line that a trigger logged.",
      fields: [
        Field("level", "string", "`debug`, `info`, `warning` or `error`."),
        Field("message", "string", "The text."),
        Field("fields", "any", "What `ctx:log` got beside the text."),
      ], methods: []),
    Class(
      name: "WaitingEvent", variable: "host:waiting()[1]", summary: "An event that waits for the clock.",
      fields: [
        Field("trigger", "string", "The trigger's name."),
        Field("event", "string", "The event's name."),
        Field("reason", "\"debounce\"|\"throttle\"|\"retry\"", "What it waits for."),
        Field("due", "number", "When it goes on, in seconds since 1970, as `now` shows them."),
      ], methods: []),
    Class(
      name: "RunOptions", variable: "options", summary: "What `run` may be told.",
      fields: [
        Field("stores", "table<string, table<string, any>>?", "Content of stores, by store and key."),
        Field("at", "string?", "When the event comes, RFC 3339. Default: `2026-01-01T00:00:00Z`."),
        Field("seed", "integer?", "What `math.random` starts from. Default: 0."),
        Field("name", "string?", "The event's name. Default: what `on` names, if that is one name."),
      ], methods: []),
    Class(
      name: "HostOptions", variable: "options", summary: "What `host` may be told.",
      fields: [
        Field("stores", "table<string, table<string, any>>?", "Content of stores, by store and key."),
        Field("at", "string?", "What the clock shows, RFC 3339. Default: `2026-01-01T00:00:00Z`."),
        Field("seed", "integer?", "What `math.random` starts from. Default: 0."),
      ], methods: []),
    Class(
      name: "Host", variable: "host", summary: "A host on a clock of its own.",
      fields: [],
      methods: [
        Function(
          "send(name: string, payload?: any, kind?: \"event\"|\"message\"|\"data\"): Result[]",
          "Sends an event (or a `message`, or `data`) and waits until nothing happens any more before the clock moves; the results in the order of their seqs. What `debounce` or `throttle` holds, and what is to be tried again, is in `waiting` and comes with `advance` or `settle`."
        ),
        Function(
          "advance(span: string): Result[]",
          "Moves the clock on, `\"90s\"` or `\"24h\"`, from one due time to the next: of schedules, `debounce`, `throttle` and retries; what ran meanwhile."
        ),
        Function(
          "settle(most?: string): Result[]",
          "Moves the clock on until nothing is in `waiting`, from one due time to the next; what ran meanwhile. An error when something still waits after `most`, `\"24h\"` by default. Schedules fire on the way."
        ),
        Function(
          "waiting(): WaitingEvent[]",
          "What waits for the clock, the first due first. Schedules are not in it."),
        Function("store(name: string): table<string, any>", "The content of a store, by key."),
        Function("now(): number", "What the clock shows, in seconds since 1970."),
        Function("results(): Result[]", "All that ran so far."),
      ]),
  ]
}
