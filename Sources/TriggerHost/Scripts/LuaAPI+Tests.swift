extension LuaAPI {
  /// What `*_test.lua` files can use beside everything else.
  package static let testFunctions = [
    Function("describe(subject: string, body: fun())", "Groups tests. A group may contain groups."),
    Function(
      "it(behaviour: string, body: fun())",
      "One test. It fails when an expectation in it does not hold, or when its body raises an error."),
    Function(
      "pending(behaviour: string, body?: fun())",
      "A test that is not run yet. The report names it, and does not count it as a failure."),
    Function(
      "before_each(body: fun())", "Runs before every test of its group, and of the groups inside."),
    Function(
      "after_each(body: fun())", "Runs after every test of its group, even after a test that failed."),
    Function("expect(value: any): Expectation", "Begins an expectation about a value."),
    Function(
      "run(trigger: string, event?: any, options?: RunOptions): Result",
      "Runs one trigger once, on the real engine with its real limits, and returns the result. `trigger` is the trigger's name or its file. No other trigger runs: the events that this one emits are in the result. The trigger runs at once, whatever its `debounce`, `throttle` or `mode`, and is not tried again.",
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
      "Makes a whole host with all triggers and schedules, on a clock that only the test moves. Each test also has a host of its own without this call: `host:send(...)` uses it.",
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
      name: "Expectation", variable: "expect(value)", summary: "What a test expects of a value.",
      fields: [
        Field("never", "Expectation", "Negates the next expectation: `expect(2).never:equals(3)`.")
      ],
      methods: [
        Function(
          "equals(expected: any): Expectation",
          "The value equals `expected`; tables are compared by content.",
          example: Example("expect({ a = { 1 } }):equals { a = { 1 } }")),
        Function(
          "is(expected: any): Expectation", "The value is the very same value, table or function.",
          example: Example("expect(print):is(print)")),
        Function("is_nil(): Expectation", "The value is nil.", example: Example("expect(nil):is_nil()")),
        Function(
          "is_true(): Expectation", "The value is `true`, and no other value.",
          example: Example("expect(1 < 2):is_true()")
        ),
        Function(
          "is_false(): Expectation", "The value is `false`, and no other value.",
          example: Example("expect(2 < 1):is_false()")),
        Function(
          "is_near(expected: number, tolerance?: number): Expectation",
          "The value is a number within a tolerance of `expected`, 1e-9 by default.",
          example: Example("expect(0.1 + 0.2):is_near(0.3)")),
        Function(
          "is_above(number: number): Expectation", "The value is greater than `number`.",
          example: Example("expect(3):is_above(2)")),
        Function(
          "is_below(number: number): Expectation", "The value is less than `number`.",
          example: Example("expect(2):is_below(3)")),
        Function(
          "contains(part: any): Expectation",
          "The value is a text that contains the text `part`; or a list with an element that equals `part` or has all its fields; or a table that has all fields of `part`.",
          example: Example("expect({ { kind = \"put\", key = \"a\" } }):contains { key = \"a\" }")),
        Function(
          "matches(pattern: string): Expectation", "The value is a text that matches a Lua pattern.",
          example: Example("expect(\"seq 12\"):matches(\"^seq %d+$\")")),
        Function(
          "has_length(length: integer): Expectation", "The value is a list or a text of this length.",
          example: Example("expect({ 1, 2 }):has_length(2)")),
        Function(
          "succeeds(): Expectation",
          "The value is a result that committed, a list of such results, or a function that raises no error.",
          example: Example("expect(function() return 1 end):succeeds()")),
        Function(
          "fails_with(text: string): Expectation",
          "The value is a result that failed, or a function that raises an error, with `text` in its message.",
          example: Example("expect(function() error(\"no bread\") end):fails_with(\"no bread\")")),
      ]),
    Class(
      name: "Result", variable: "result", summary: "The result of one execution.",
      fields: [
        Field("trigger", "string", "The trigger's name."),
        Field("event", "string", "The event's name."),
        Field("seq", "integer", "The seq of the operation."),
        Field("try", "integer", "The number of the try, for a trigger with `retry`; the first is 1."),
        Field("outcome", "\"committed\"|\"failed\"|\"skipped\"|\"deferred\"", "How the execution ended."),
        Field("error", "string?", "Message and traceback when it failed."),
        Field("code", "string?", "The code of the failure, like `timeout` or `refused`."),
        Field(
          "intents", "ResultIntent[]",
          "The intents that the trigger returned, in order. `{}` when it failed."
        ),
        Field("emitted", "ResultEvent[]", "The events that the trigger emitted."),
        Field("sent", "ResultMessage[]", "The messages that the trigger sent or broadcast, in order."),
        Field("logs", "ResultLog[]", "The lines that the trigger logged."),
        Field(
          "stores", "table<string, table<string, any>>",
          "The content of every store afterwards; only in a result of `run`."),
      ], methods: []),
    Class(
      name: "ResultIntent", variable: "result.intents[1]", summary: "An intent that a trigger returned.",
      fields: [
        Field("store", "string", "The store's name."),
        Field(
          "kind", "\"put\"|\"delete\"|\"add\"|\"max\"|\"min\"|\"append\"|\"append_text\"|\"replace\"",
          "What the intent does; `replace` comes from `prepare_commit`."),
        Field("key", "string", "The key; `replace` has none."),
        Field("value", "any", "The value; `delete` has none."),
      ], methods: []),
    Class(
      name: "ResultEvent", variable: "result.emitted[1]", summary: "An event that a trigger emitted.",
      fields: [
        Field("name", "string", "The event's name."), Field("payload", "any", "The event's content."),
      ],
      methods: []),
    Class(
      name: "ResultMessage", variable: "result.sent[1]",
      summary: "A message that a trigger sent or broadcast.",
      fields: [
        Field("session", "string?", "The session that it goes to."),
        Field("topic", "string?", "The topic of a broadcast."), Field("message", "table", "The message."),
      ],
      methods: []),
    Class(
      name: "ResultLog", variable: "result.logs[1]", summary: "A line that a trigger logged.",
      fields: [
        Field("level", "string", "`debug`, `info`, `warning` or `error`."),
        Field("message", "string", "The text."),
        Field("fields", "any", "The fields that `ctx:log` got beside the text."),
      ], methods: []),
    Class(
      name: "WaitingEvent", variable: "host:waiting()[1]", summary: "An event that waits for the clock.",
      fields: [
        Field("trigger", "string", "The trigger's name."),
        Field("event", "string", "The event's name."),
        Field("reason", "\"debounce\"|\"throttle\"|\"retry\"", "What the event waits for."),
        Field("due", "number", "When the event goes on, in seconds since 1970, like `now`."),
      ], methods: []),
    Class(
      name: "RunOptions", variable: "options", summary: "The options of `run`.",
      fields: [
        Field("stores", "table<string, table<string, any>>?", "Content of stores, by store and key."),
        Field(
          "at", "string?", "The time at which the event comes, RFC 3339. Default: `2026-01-01T00:00:00Z`."),
        Field("seed", "integer?", "What `math.random` starts from. Default: 0."),
        Field("name", "string?", "The event's name. Default: the name in `on`, if there is only one."),
      ], methods: []),
    Class(
      name: "HostOptions", variable: "options", summary: "The options of `host`.",
      fields: [
        Field("stores", "table<string, table<string, any>>?", "Content of stores, by store and key."),
        Field("at", "string?", "The time on the clock at first, RFC 3339. Default: `2026-01-01T00:00:00Z`."),
        Field("seed", "integer?", "What `math.random` starts from. Default: 0."),
      ], methods: []),
    Class(
      name: "Host", variable: "host", summary: "A host on a clock of its own.",
      fields: [],
      methods: [
        Function(
          "send(name: string, payload?: any, kind?: \"event\"|\"message\"|\"data\"): Result[]",
          "Sends an event (or a `message`, or `data`), waits until nothing more can happen before the clock moves, and returns the results in the order of their seqs. Events that `debounce` or `throttle` holds, or that `retry` will try again, are in `waiting`; `advance` or `settle` returns their results."
        ),
        Function(
          "advance(span: string): Result[]",
          "Moves the clock on by a span like `\"90s\"` or `\"24h\"`, and returns the results of what ran meanwhile. The clock stops at each due time of schedules, `debounce`, `throttle` and retries."
        ),
        Function(
          "settle(most?: string): Result[]",
          "Moves the clock on, from one due time to the next, until `waiting` is empty, and returns the results of what ran meanwhile. Raises an error when an event still waits after `most`, `\"24h\"` by default. Schedules fire on the way."
        ),
        Function(
          "waiting(): WaitingEvent[]",
          "The events that wait for the clock, the first due first. Schedules are not in the list."),
        Function("store(name: string): table<string, any>", "The content of a store, by key."),
        Function("now(): number", "The time on the host's clock, in seconds since 1970."),
        Function("results(): Result[]", "The results of everything that ran so far."),
      ]),
  ]
}
