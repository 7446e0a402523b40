extension LuaAPI {
  /// `ctx`, stores and intents.
  package static let classes = [context, store, intent]

  /// The second argument of `execute`.
  package static let context = Class(
    name: "Ctx", variable: "ctx",
    summary:
      "The running execution: the event that it is about, and the way to stores, new events and the log. `ctx` works inside `execute` only.",
    fields: [
      Field(
        "seq", "integer",
        "The operation's first seq: its place in the one order of commits. Every attempt sees the same seq.",
        example: Example("ctx.seq                        --> 1")),
      Field(
        "trigger", "string", "The name of the trigger that runs.",
        example: Example("ctx.trigger                    --> \"example\"")),
      Field(
        "event_name", "string",
        "The event's name, like `bars/EURUSD`: useful where one trigger is bound to several names. For a commit it is `commit`, for a schedule the trigger's name.",
        example: Example("ctx.event_name                 --> \"page/visit\"")),
      Field(
        "time", "number",
        "The time at which the host admitted the event, in seconds since 1970 (UTC). Every attempt sees the same time, however long the event waited.",
        example: Example(
          "ctx.time                       --> 1767225600.0\nos.date(\"%Y-%m-%d %H:%M\", ctx.time)  --> \"2026-01-01 00:00\""
        )),
    ],
    methods: [
      Function(
        "store(name: string): Store", "Opens a store as of this execution's snapshot.",
        details:
          "A store that the configuration does not name exists from its first write on. With `strict_stores` the name of such a store is an error, and the error suggests a name that exists.",
        example: Example(
          "local visits = ctx:store(\"visits\")\nvisits:get(\"home\")             --> 3",
          stores: "visits = { home = 3 }")),
      Function(
        "emit(name: string, payload?: any): Intent",
        "Prepares an event for every trigger bound to its name. Return it from `execute`: the host admits it exactly once, when it applies the commit.",
        details:
          "Without a payload the event is an empty table. A chain of emitted events ends after 64 hops, and one commit may emit 1000 events.",
        example: Example(
          "return { ctx:emit(\"order.placed\", { units = 10 }) }  --> emits order.placed { units = 10 }")),
      Function(
        "send(session: string, message: table): Intent",
        "Prepares a message to one session: the conversation with one client. Return it from `execute`: the message leaves when the commit is on disk, exactly once, in the order of the commits.",
        details:
          "Events that come from a session have its id in the field `session`. A message is a table with names; the host adds the field `token`. Its `type` must not begin with `$`. A message to a session that is over is dropped. Of an execution that fails, or is tried again, nothing leaves.",
        example: Example(
          "return { ctx:send(\"s-1\", { type = \"hello\", n = 1 }) }  --> sends to s-1 { n = 1, type = \"hello\" }"
        )),
      Function(
        "broadcast(topic: string, message: table): Intent",
        "Prepares a message to every session that has subscribed to a topic. Return it from `execute`.",
        details: "Otherwise like `send`.",
        example: Example(
          "return { ctx:broadcast(\"news\", { type = \"headline\" }) }  --> broadcasts on news { type = \"headline\" }"
        )),
      Function(
        "log(level: \"debug\"|\"info\"|\"warn\"|\"warning\"|\"error\", message: any, fields?: table)",
        "Writes a line to the host's log, with the trigger, the seq and the attempt. Levels are `debug`, `info`, `warning` (or `warn`) and `error`.",
        details:
          "Fields are for programs that read the log: they follow the message as JSON. A text replaces fields that cannot be stored, and fields over 64 KiB. The message may be a table; it is shown as `print` shows it. The host keeps 1,000 lines and 64 KiB of one execution. It shows 1 MB per second of one trigger, and says how many lines it left out.",
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
      "A named map from keys (texts of 1 to 1024 bytes) to values. Reading shows the snapshot: never half of a commit, and never a change that this execution has prepared. Writing prepares an *intent*: nothing changes until `execute` returns the intent and its seq commits.",
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
        "Goes through all keys and values, or through those whose keys begin with `prefix`, in the byte order of the keys.",
        details:
          "The whole prefix counts as read: when another commit adds a key with this prefix, that is a change too. `pairs` does not work on a store.",
        example: Example(
          """
          local total = 0
          for key, units in ctx:store("stock"):scan("shop/") do
            total = total + units
          end
          total                          --> 12
          """, stores: "stock = { [\"shop/apples\"] = 5, [\"shop/pears\"] = 7, [\"van/apples\"] = 99 }")),
      Function(
        "keys(prefix?: string): string[]", "All keys, or those that begin with `prefix`, in byte order.",
        example: Example(
          "ctx:store(\"prices\"):keys()     --> { \"eur\", \"gbp\" }\nctx:store(\"prices\"):keys(\"g\")  --> { \"gbp\" }",
          stores: prices)),
      Function(
        "count(prefix?: string): integer", "The number of all keys, or of those that begin with `prefix`.",
        example: Example("ctx:store(\"prices\"):count()    --> 2", stores: prices)),
      Function(
        "put(key: string, value: any): Intent",
        "Prepares to set a key to a value. The value `nil` deletes the key; `null` stores a JSON null.",
        details:
          "`put` copies the value at once: changing the table afterwards changes nothing. A value that no store can hold (a function, a table with holes, a cycle) is an error. The error names the place inside the value.",
        example: Example(
          """
          local prices = ctx:store("prices")
          return { prices:put("eur", 1.08), prices:put("gbp", nil) }  --> prices/eur = 1.08; prices/gbp = nil
          """, stores: prices)),
      Function(
        "delete(key: string): Intent",
        "Prepares to remove a key. It is no error when the key does not exist.",
        example: Example(
          "return { ctx:store(\"prices\"):delete(\"eur\") }  --> prices/eur = nil", stores: prices)),
      Function(
        "add(key: string, number: number): Intent",
        "Prepares to add to the number at a key. A key that does not exist counts as 0.",
        details:
          "`add`, `max`, `min` and `append` do not conflict with each other: a thousand executions may add to one counter at once, and none runs again. Use them where the script need not know the result.",
        example: Example(
          "return { ctx:store(\"visits\"):add(\"home\", 1) }  --> visits/home = 4",
          stores: "visits = { home = 3 }"
        )),
      Function(
        "max(key: string, number: number): Intent",
        "Prepares to keep the greater of two numbers: the one at the key, and this one.",
        example: Example(
          "return { ctx:store(\"records\"):max(\"hottest\", 31.5) }  --> records/hottest = 31.5",
          stores: "records = { hottest = 30.2 }")),
      Function(
        "min(key: string, number: number): Intent",
        "Prepares to keep the smaller of two numbers: the one at the key, and this one.",
        example: Example(
          "return { ctx:store(\"records\"):min(\"coldest\", 28.5) }  --> records/coldest = 28.5",
          stores: "records = { coldest = 30.2 }")),
      Function(
        "append(key: string, value: any): Intent",
        "Prepares to add a value to the end of the list at a key. A key that does not exist counts as an empty list.",
        example: Example(
          "return { ctx:store(\"queue\"):append(\"jobs\", \"paint\") }  --> queue/jobs = { \"mow\", \"paint\" }",
          stores: "queue = { jobs = { \"mow\" } }")),
      Function(
        "append_text(key: string, text: string): Intent",
        "Prepares to add text to the end of the string at a key. A key that does not exist counts as an empty string.",
        details:
          "It does not conflict with other appends. Use it, for example, to add a line to a file of a file store.",
        example: Example(
          "return { ctx:store(\"notes\"):append_text(\"today\", \", milk\") }  --> notes/today = \"bread, milk\"",
          stores: "notes = { today = \"bread\" }")),
      Function(
        "read_snapshot(): integer, table<string, any>",
        "The whole store: the seq of the last commit that changed it, and its content by key.",
        details: "It counts as reading every key: any change of the store makes the execution run again.",
        example: Example(
          "local seq, data = ctx:store(\"prices\"):read_snapshot()\ndata                           --> { eur = 1.07, gbp = 1.25 }",
          stores: prices)),
      Function(
        "prepare_commit(seq: integer, data: table<string, any>): Intent",
        "Prepares to replace the whole store. `seq` must be the seq that `read_snapshot` gave in this execution; any other seq is an error.",
        details: "The commit writes only the keys that differ.",
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
      "The events that run the trigger: a name, or a list of names, of each kind. Without `on` only a cron file runs the script."
    ),
    Field(
      "execute", "fun(event: Event, ctx: Ctx): Intent|table|nil",
      "The function that runs for each event. It returns the list of intents."
    ),
    Field(
      "name", "string",
      "The trigger's name. Default: the path without `.lua` (and without a leading `triggers/`)."),
    Field(
      "priority", "\"critical\"|\"high\"|\"normal\"|\"low\"",
      "Which events run first when more events wait than there are workers. Default: `normal`."),
    Field(
      "timeout", "string", "CPU time that one execution may use, like `\"200ms\"` (the default) or `\"2s\"`."),
    Field("memory", "string", "Memory that one execution may hold, like `\"64mb\"` (the default)."),
    Field(
      "order_by", "string",
      "A field of the event, like `\"symbol\"` or `\"order.id\"`. Events with an equal value in this field commit in the order in which they came, even when one of them is slow."
    ),
    Field(
      "coalesce", "boolean|string",
      "`true`: a new event takes the place of one that still waits in the queue, so only the newest runs. A field's name: only events with an equal value in this field take one another's place. The sender of an event that lost its place is told `superseded`, and the seq that ran instead. The same holds for `debounce`, `throttle` and `restart`."
    ),
    Field(
      "debounce", "string",
      "Waits until no event has come for this long, then runs with the newest event. With `order_by` each value has a span of its own. Without `order_by` all events of the trigger share one span."
    ),
    Field(
      "throttle", "string",
      "Runs at most once in this span. The newest of the events that came meanwhile runs at the end of the span. With `order_by` each value has a span of its own, as with `debounce`."
    ),
    Field(
      "mode", "\"single\"|\"restart\"|\"queued\"|\"parallel\"",
      "What happens to a new event while `max_instances` executions are under way. `single`: it is dropped. `restart`: it ends the oldest execution, or takes its place when that is still queued. `queued`: it waits. `parallel`, the default: it runs beside them."
    ),
    Field(
      "max_instances", "integer",
      "How many executions may be under way before `mode` applies, 1 to 1000. Default: 1."),
    Field(
      "retry", "integer|TriggerRetry",
      "How often an event is tried in all when its execution fails: `3`, or `{ attempts = 5, backoff = \"1s\", longest = \"5m\" }`. The pause between tries doubles. Meanwhile later events wait: those with an equal `order_by` value or, without `order_by`, all from the same source. With `order = \"free\"` they do not wait."
    ),
  ]

  /// Fields of `on`.
  package static let bindings = [
    Field(
      "event", "string|string[]",
      "A named event that a trigger emitted, a sender sent or a schedule fired. Messages and data of this name match too."
    ),
    Field("message", "string|string[]", "A message from outside. An `event` of this name matches too."),
    Field("data", "string|string[]", "A row of a feed. An `event` of this name matches too."),
    Field(
      "commit", "string|string[]",
      "A commit that changed matching keys, written `store/key`. One commit makes one event, which lists these keys."
    ),
    Field(
      "cron", "string|string[]",
      "A schedule: `\"30 7 * * mon-fri\"`, with `CRON_TZ=Europe/Berlin ` before it for another time zone than the machine's."
    ),
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
      "`keep`, the default: later events with an equal `order_by` value, or from the same source, wait until the last try has ended. For `mode` the execution is under way until then. `free`: later events go on, and a retry takes its place behind them. Where `mode`, `debounce`, `throttle` or `coalesce` let one event run, a retry does not take the place of a newer event."
    ),
  ]

  /// What `execute` gets as its event beside what the sender put in.
  package static let events: [(kinds: String, fields: [Field])] = [
    (
      "`commit`",
      [
        Field(
          "keys", "string[]", "The keys that the commit changed and that `on.commit` matches, as `store/key`."
        ),
        Field("seq", "integer", "The seq of the commit."),
        Field("trigger", "string", "The trigger that made it."),
      ]
    ),
    (
      "`cron`, `every`, `at`, `start`",
      [
        Field("job", "string", "The name of the schedule."),
        Field(
          "fire_time", "string",
          "The time at which the schedule was due, RFC 3339 in UTC. An event that runs late has its due time here too."
        ),
      ]
    ),
  ]
}
