extension LuaAPI {
  /// `ctx`, stores and intents.
  package static let classes = [context, store, intent]

  /// The second argument of `execute`.
  package static let context = Class(
    name: "Ctx", variable: "ctx",
    summary: "The running execution: what it is about, and what it can do. It works inside `execute` only.",
    fields: [
      Field(
        "seq", "integer", "The operation's first seq, its place in the one order. The same in every attempt.",
        example: Example("ctx.seq                        --> 1")),
      Field(
        "trigger", "string", "The name of the trigger that runs.",
        example: Example("ctx.trigger                    --> \"example\"")),
      Field(
        "event_name", "string",
        "The event's name, like `bars/EURUSD`: useful where one trigger is bound to several. `commit` for commits, the trigger's name for schedules.",
        example: Example("ctx.event_name                 --> \"page/visit\"")),
      Field(
        "time", "number",
        "When the event was admitted, in seconds since 1970 (UTC). Every attempt sees the same time, however long it waits.",
        example: Example(
          "ctx.time                       --> 1767225600.0\nos.date(\"%Y-%m-%d %H:%M\", ctx.time)  --> \"2026-01-01 00:00\""
        )),
    ],
    methods: [
      Function(
        "store(name: string): Store", "Opens a store as of this execution's snapshot.",
        details:
          "A store that the configuration does not name exists from its first write on, unless `strict_stores` is on; then the name is an error with a suggestion.",
        example: Example(
          "local visits = ctx:store(\"visits\")\nvisits:get(\"home\")             --> 3",
          stores: "visits = { home = 3 }")),
      Function(
        "emit(name: string, payload?: any): Intent",
        "Prepares an event for every trigger bound to its name; returned from `execute`, it is admitted exactly once when the commit is applied.",
        details:
          "Without a payload the event is an empty table. A chain of emitted events ends after 64 hops, and one commit may emit 1000 events.",
        example: Example(
          "return { ctx:emit(\"order.placed\", { units = 10 }) }  --> emits order.placed { units = 10 }")),
      Function(
        "log(level: \"debug\"|\"info\"|\"warn\"|\"warning\"|\"error\", message: any, fields?: table)",
        "Writes a line to the host's log, with the trigger, the seq and the attempt. Levels are `debug`, `info`, `warning` (or `warn`) and `error`.",
        details:
          "Fields are what a machine should be able to read; they follow the text as JSON. Of fields that cannot be stored, and of those over 64 KiB, there is a text. The message may be a table, shown as `print` shows it. Of an execution 1,000 lines and 64 KiB are kept; the host shows 1 MB of a trigger in a second, and says how many lines it left out.",
        example: Example(
          "ctx:log(\"info\", \"sold\", { units = 10 })  --> logs info: sold {\"units\":10}")),
      Function(
        "now(): number", "The same as `ctx.time`.",
        example: Example("ctx:now() == ctx.time          --> true")),
    ])

  private static let prices = "prices = { eur = 1.07, gbp = 1.25 }"

  /// What `ctx:store` gives.
  package static let store = Class(
    name: "Store", variable: "store",
    summary:
      "A named map from keys (texts of 1 to 1024 bytes) to values. Reading shows the snapshot: never a half-done commit, and never what this execution has prepared. Writing prepares an *intent*: nothing changes until it is returned from `execute` and its seq commits.",
    fields: [
      Field(
        "name", "string", "The store's name.",
        example: Example("ctx:store(\"prices\").name        --> \"prices\""))
    ],
    methods: [
      Function(
        "get(key: string): any", "The value at a key, or nil.",
        details:
          "Every call gives a new copy that is yours to change. If another commit changes the key meanwhile, the execution runs again on the new value.",
        example: Example(
          "local prices = ctx:store(\"prices\")\nprices:get(\"eur\")              --> 1.07\nprices:get(\"usd\") or \"none\"    --> \"none\"",
          stores: prices)),
      Function(
        "scan(prefix?: string, limit?: integer): fun(): string, any",
        "Goes through keys and values in the byte order of the keys, those with a prefix if one is given.",
        details:
          "What counts as read is the whole prefix: a key that appears under it later is a change too. `pairs` does not work on a store.",
        example: Example(
          """
          local total = 0
          for key, units in ctx:store("stock"):scan("shop/") do
            total = total + units
          end
          total                          --> 12
          """, stores: "stock = { [\"shop/apples\"] = 5, [\"shop/pears\"] = 7, [\"van/apples\"] = 99 }")),
      Function(
        "keys(prefix?: string): string[]", "The keys in byte order, those with a prefix if one is given.",
        example: Example(
          "ctx:store(\"prices\"):keys()     --> { \"eur\", \"gbp\" }\nctx:store(\"prices\"):keys(\"g\")  --> { \"gbp\" }",
          stores: prices)),
      Function(
        "count(prefix?: string): integer", "How many keys there are, those with a prefix if one is given.",
        example: Example("ctx:store(\"prices\"):count()    --> 2", stores: prices)),
      Function(
        "put(key: string, value: any): Intent",
        "Prepares to set a key. `nil` as the value deletes it, `null` stores a JSON null.",
        details:
          "The value is copied now: changing the table afterwards changes nothing. What has no place in a store (a function, a table with holes, a cycle) is an error that names the place inside the value.",
        example: Example(
          """
          local prices = ctx:store("prices")
          return { prices:put("eur", 1.08), prices:put("gbp", nil) }  --> prices/eur = 1.08; prices/gbp = nil
          """, stores: prices)),
      Function(
        "delete(key: string): Intent", "Prepares to remove a key. One that is not there is no mistake.",
        example: Example(
          "return { ctx:store(\"prices\"):delete(\"eur\") }  --> prices/eur = nil", stores: prices)),
      Function(
        "add(key: string, number: number): Intent",
        "Prepares to add to a number; a key that is not there counts as 0.",
        details:
          "`add`, `max`, `min` and `append` do not get in each other's way: a thousand executions may bump one counter at once and none runs again. Use them where you need not know the result.",
        example: Example(
          "return { ctx:store(\"visits\"):add(\"home\", 1) }  --> visits/home = 4",
          stores: "visits = { home = 3 }"
        )),
      Function(
        "max(key: string, number: number): Intent",
        "Prepares to keep the greater of the number there and this one.",
        example: Example(
          "return { ctx:store(\"records\"):max(\"hottest\", 31.5) }  --> records/hottest = 31.5",
          stores: "records = { hottest = 30.2 }")),
      Function(
        "min(key: string, number: number): Intent",
        "Prepares to keep the smaller of the number there and this one.",
        example: Example(
          "return { ctx:store(\"records\"):min(\"coldest\", 28.5) }  --> records/coldest = 28.5",
          stores: "records = { coldest = 30.2 }")),
      Function(
        "append(key: string, value: any): Intent",
        "Prepares to add a value to the end of the list there; a key that is not there counts as an empty list.",
        example: Example(
          "return { ctx:store(\"queue\"):append(\"jobs\", \"paint\") }  --> queue/jobs = { \"mow\", \"paint\" }",
          stores: "queue = { jobs = { \"mow\" } }")),
      Function(
        "append_text(key: string, text: string): Intent",
        "Prepares to add text to the end of the string there; a key that is not there counts as an empty string.",
        details: "Gets in nobody's way, like `append`: a line more for a file of a file store.",
        example: Example(
          "return { ctx:store(\"notes\"):append_text(\"today\", \", milk\") }  --> notes/today = \"bread, milk\"",
          stores: "notes = { today = \"bread\" }")),
      Function(
        "read_snapshot(): integer, table<string, any>",
        "The whole store: the seq of the last commit that changed it, and its content by key.",
        details: "Counts as reading every key: any change of the store makes the execution run again.",
        example: Example(
          "local seq, data = ctx:store(\"prices\"):read_snapshot()\ndata                           --> { eur = 1.07, gbp = 1.25 }",
          stores: prices)),
      Function(
        "prepare_commit(seq: integer, data: table<string, any>): Intent",
        "Prepares to replace the whole store. `seq` is the one that `read_snapshot` gave in this execution; any other is an error.",
        details: "Only the keys that differ are written.",
        example: Example(
          """
          local prices = ctx:store("prices")
          local seq, data = prices:read_snapshot()
          data.eur = nil
          data.jpy = 0.0063
          return { prices:prepare_commit(seq, data) }  --> prices/eur = nil; prices/jpy = 0.0063
          """, stores: prices)),
    ])

  /// What `put` and its like give.
  package static let intent = Class(
    name: "Intent", variable: "intent",
    summary:
      "One prepared change. Preparing changes nothing; return it from `execute`, alone or in a list (lists may hold lists, and `false` in place of an intent that is not wanted).",
    fields: [], methods: [])

  // MARK: What a script returns

  /// Fields of the table that a script returns.
  package static let triggerFields = [
    Field(
      "on", "TriggerBindings",
      "What it reacts to: a name, or a list of names, of each kind. Without it only a cron file runs the script."
    ),
    Field(
      "execute", "fun(event: Event, ctx: Ctx): Intent|table|nil", "What it does; returns the list of intents."
    ),
    Field(
      "name", "string", "Its name. Default: the path without `.lua` (and without a leading `triggers/`)."),
    Field(
      "priority", "\"critical\"|\"high\"|\"normal\"|\"low\"",
      "Who goes first when there is more to do than workers. Default: `normal`."),
    Field("timeout", "string", "CPU time of one execution, like `\"200ms\"` (the default) or `\"2s\"`."),
    Field("memory", "string", "What one execution may hold, like `\"64mb\"` (the default)."),
    Field(
      "order_by", "string",
      "A field of the event, like `\"symbol\"` or `\"order.id\"`: events that are equal there keep their order, also when one is slow."
    ),
    Field(
      "coalesce", "boolean|string",
      "`true`: an event that comes while one waits in the queue takes its place, so only the newest runs. A field's name: only events that are equal there. Who sent the others is told that they are `superseded`, here and with `debounce`, `throttle` and `restart`, and by which seq."
    ),
    Field(
      "debounce", "string",
      "Runs when no event has come for this long, with the newest one. Events that are equal at `order_by` count together, each value has its own span; without `order_by` all of the trigger's do."
    ),
    Field(
      "throttle", "string",
      "Runs at most once per this span; the newest of the others follows at its end. A span for each value of `order_by`, as with `debounce`."
    ),
    Field(
      "mode", "\"single\"|\"restart\"|\"queued\"|\"parallel\"",
      "What an event does while `max_instances` executions are under way: `single` drops it, `restart` ends the oldest, or takes its place while it is queued, `queued` waits, `parallel` is the default."
    ),
    Field("max_instances", "integer", "How many executions `mode` lets be under way, 1 to 1000. Default: 1."),
    Field(
      "retry", "integer|TriggerRetry",
      "Tries of an event whose execution fails, together: `3`, or `{ attempts = 5, backoff = \"1s\", longest = \"5m\" }` with a pause that doubles. Meanwhile later events wait: those with an equal `order_by` value or, without `order_by`, all from the same source; `order = \"free\"` lets them go on."
    ),
  ]

  /// Fields of `on`.
  package static let bindings = [
    Field(
      "event", "string|string[]",
      "A named event: emitted, sent, or from a schedule. Takes messages and data too."),
    Field("message", "string|string[]", "A message from outside; takes an `event` of the name, too."),
    Field("data", "string|string[]", "A row of a feed; takes an `event` of the name, too."),
    Field(
      "commit", "string|string[]",
      "A commit that changed matching keys, written `store/key`. The event lists them: one event per commit."),
    Field(
      "cron", "string|string[]",
      "A schedule: `\"30 7 * * mon-fri\"`, with `CRON_TZ=Europe/Berlin ` before it if need be."),
    Field("every", "string|string[]", "An interval, like `\"5m\"`."),
    Field("at", "string|string[]", "A time, like `\"2026-03-29T12:00:00Z\"`."),
    Field("start", "boolean", "`true`: once, when the host starts."),
  ]

  /// The fields of `retry`.
  package static let retryFields = [
    Field("attempts", "integer", "Tries together, 1 to 100."),
    Field("backoff", "string", "The first pause, `\"1s\"` by default; each further one is twice as long."),
    Field("longest", "string", "No pause is longer."),
    Field(
      "order", "\"keep\"|\"free\"",
      "`keep`, the default: later events with an equal `order_by` value, or from the same source, wait until the last try has ended, and for `mode` the execution goes on until then. `free`: they go on, and a retry takes its place behind them; it takes no newer event's place where `mode`, `debounce`, `throttle` or `coalesce` let one of them run."
    ),
  ]

  /// What `execute` gets as its event beside what the sender put in.
  package static let events: [(kinds: String, fields: [Field])] = [
    (
      "`commit`",
      [
        Field("keys", "string[]", "What the commit changed, as `store/key`, as far as `on.commit` matches."),
        Field("seq", "integer", "The seq of the commit."),
        Field("trigger", "string", "The trigger that made it."),
      ]
    ),
    (
      "`cron`, `every`, `at`, `start`",
      [
        Field("job", "string", "The name of the schedule."),
        Field("fire_time", "string", "The time it is for, RFC 3339 in UTC, also when it runs late."),
      ]
    ),
  ]
}
