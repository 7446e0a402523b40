import TriggerCore

extension HostEndpoints {
  /// Parameters that say which records somebody wants.
  private static let filters: [EndpointText.Parameter] = [
    .init(name: "trigger", text: "Only this trigger's."),
    .init(
      name: "outcome", text: "Only with this outcome.",
      schema: Schema.words("committed", "failed", "deferred", "skipped")),
    .init(
      name: "kind", text: "Only of events of this kind.",
      schema: Schema.words("event", "data", "message", "commit", "cron")),
    .init(name: "store", text: "Only those that changed this store."),
    .init(name: "key", text: "With store: only those that changed this key."),
    .init(name: "prefix", text: "With store: only those that changed a key that begins so."),
    .init(name: "topic", text: "Only those that broadcast to this topic."),
  ]
  private static let intent = Schema.object(
    ["kind": Schema.text, "key": Schema.text, "store": Schema.text, "value": Schema.any],
    optional: ["store", "value"])
  private static let recordFields: Value.Map = [
    "seq": Schema.seq, "identity": Schema.seq, "outcome": Schema.text, "trigger": Schema.text,
    "kind": Schema.text, "event": Schema.text, "priority": Schema.text, "admitted": Schema.time,
    "tree": Schema.count, "attempts": Schema.count, "intents": Schema.array(intent), "payload": Schema.any,
    "code": Schema.text, "error": Schema.text,
    "cause": Schema.object(["seq": Schema.seq, "index": Schema.count]),
  ]
  private static let record = Schema.object(recordFields, optional: ["payload", "code", "error", "cause"])
  private static let logProblems: [Problem.Code] = [
    .badQuery, .forbidden, .noLog, .seqGone, .storage, .busy, .stopping,
  ]

  private static func limit(_ text: String, most: Int64 = 1000) -> EndpointText.Parameter {
    .init(name: "limit", text: text, schema: Schema.integer(1, most))
  }

  static func executions(_ reader: HostReader) -> [Endpoint] {
    let routes = ExecutionRoutes(reader: reader)
    return [
      Endpoint(
        method: .get, path: "/v1/executions", right: .read,
        summary: "Operations that are decided, newest first or from a seq on, page by page.",
        about: EndpointText(
          parameters: [
            .init(name: "from", text: "From this seq on, oldest first.", schema: Schema.seq),
            .init(name: "before", text: "Before this seq, newest first.", schema: Schema.seq),
            limit("At most so many. Default: 100."),
          ] + filters,
          answers: [
            (
              200,
              "A page. next is the path of the page after it; with a filter a page may be short and not the last.",
              ["application/json"]
            )
          ], problems: logProblems,
          schemas: [
            200: Schema.object(
              ["seq": Schema.count, "executions": Schema.array(record), "next": Schema.text],
              optional: ["next"])
          ]),
        handler: routes.list),
      Endpoint(
        method: .get, path: "/v1/executions/{seq}", right: .read,
        summary: "All that is known of a seq: event, attempts, conflicts, intents, cause and consequences.",
        about: EndpointText(
          parameters: [
            .init(
              name: "trace", text: "true: run again from the log, for what it read and logged.",
              schema: Schema.words("true", "false"))
          ],
          answers: [(200, "The execution.", ["application/json"])],
          problems: logProblems + [.badRequest, .noSeq],
          schemas: [
            200: Schema.object([
              "seq": Schema.seq, "identity": Schema.seq, "trigger": Schema.text, "attempts": Schema.count,
              "admitted": Schema.time,
            ])
          ]),
        handler: routes.one),
    ]
  }

  static func log(_ reader: HostReader, _ access: AccessControl) -> [Endpoint] {
    let (log, stats) = (
      LogRoutes(reader: reader, access: access), StatsRoutes(reader: reader, access: access)
    )
    return [
      Endpoint(
        method: .get, path: "/v1/log", right: .read,
        summary:
          "The log up to now as JSON Lines; with Accept: text/event-stream, what comes from now on as server-sent events.",
        about: EndpointText(
          parameters: [
            .init(
              name: "from",
              text: "The first seq. Default: the first that is kept; of events: the next that comes.",
              schema: Schema.seq),
            limit("At most so many records.", most: .max),
          ] + filters + [
            .init(
              name: "Last-Event-ID", text: "Goes on behind this event. It wins over from.", isInHead: true,
              schema: Schema.count)
          ],
          answers: [(200, "Records, in order of their seqs.", ["application/jsonl", "text/event-stream"])],
          problems: logProblems + [.badRequest, .seqAhead]),
        handler: log.log),
      Endpoint(
        method: .get, path: "/v1/stats", right: .read,
        summary: "Counters since the start, and the state now.",
        about: EndpointText(
          answers: [(200, "Counters.", ["application/json"])], problems: [.badQuery, .forbidden],
          schemas: [
            200: Schema.object([
              "seq": Schema.count, "durable_seq": Schema.count, "committed": Schema.count,
              "failed": Schema.count, "conflicts": Schema.count, "queued": Schema.count,
              "uptime_seconds": Schema.number, "latency": Schema.anyMap, "rates": Schema.anyMap,
              "triggers": Schema.anyMap, "refusals": Schema.map(of: Schema.count),
              "server": Schema.object([
                "requests": Schema.count, "refused": Schema.map(of: Schema.count),
                "connections": Schema.count, "connections_opened": Schema.count,
                "connections_refused": Schema.count,
              ]),
            ])
          ]),
        handler: stats.stats),
    ]
  }

  static func lists(_ reader: HostReader) -> [Endpoint] {
    let routes = ListRoutes(reader: reader)
    return [
      Endpoint(
        method: .get, path: "/v1/schedules", right: .read,
        summary: "Jobs by the clock, and when each fires next.",
        about: EndpointText(
          answers: [(200, "All of them.", ["application/json"])], problems: [.badQuery, .forbidden],
          schemas: [
            200: Schema.object([
              "schedules": Schema.array(Schema.object(["name": Schema.text, "rule": Schema.text]))
            ])
          ]),
        handler: routes.schedules),
      Endpoint(
        method: .get, path: "/v1/scripts", right: .read, summary: "Every script tree that was ever in force.",
        about: EndpointText(
          answers: [(200, "All of them, oldest first.", ["application/json"])], problems: logProblems,
          schemas: [
            200: Schema.object([
              "trees": Schema.array(Schema.object(["tree": Schema.seq, "time": Schema.time]))
            ])
          ]),
        handler: routes.scripts),
      Endpoint(
        method: .get, path: "/v1/scripts/{tree}", right: .read, summary: "The files of a script tree.",
        about: EndpointText(
          answers: [(200, "The tree.", ["application/json"])],
          problems: logProblems + [.badRequest, .noTree],
          schemas: [
            200: Schema.object([
              "tree": Schema.seq, "time": Schema.time,
              "files": Schema.array(Schema.object(["path": Schema.text, "bytes": Schema.count])),
            ])
          ]),
        handler: routes.tree),
      Endpoint(
        method: .get, path: "/v1/dead", right: .read,
        summary: "Operations that failed for good, oldest first.",
        about: EndpointText(
          parameters: [
            .init(name: "after", text: "Only later seqs.", schema: Schema.count),
            limit("At most so many. Default: 100."), .init(name: "trigger", text: "Only this trigger's."),
          ],
          answers: [(200, "A page. next is the path of the page after it.", ["application/json"])],
          problems: logProblems,
          schemas: [
            200: Schema.object(["dead": Schema.array(record), "next": Schema.text], optional: ["next"])
          ]),
        handler: routes.dead),
    ]
  }
}
