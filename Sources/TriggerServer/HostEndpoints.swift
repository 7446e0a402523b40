import HTTPTypes
import Hummingbird
import TriggerCore
import TriggerHost
import TriggerRuntime

/// What a server answers besides WebSockets: the routes, `Allow` and `GET /v1/openapi.json` are made of these.
struct HostEndpoints {
  let all: [Endpoint]

  init(
    _ host: RunningHost, _ access: AccessControl, _ waiting: Waiting, _ reader: HostReader,
    isEncrypted: Bool
  ) {
    all =
      Self.events(host, access, waiting) + Self.stores(reader) + Self.executions(reader)
      + Self.log(reader, access) + Self.lists(reader)
      + Self.actions(reader, access.limits) + Self.health(host)
      + Self.pages(PageRoutes(access: access, isEncrypted: isEncrypted))
  }

  private static func events(
    _ host: RunningHost, _ access: AccessControl, _ waiting: Waiting
  ) -> [Endpoint] {
    let routes = EventRoutes(
      sender: EventSender(
        intake: EventIntake(host), waiting: waiting,
        refusesWhenFull: host.config.queue.whenFull == .refuse),
      limits: access.limits, access: access)
    let wait = EndpointText.Parameter(
      name: "wait",
      text:
        "accepted: the answer comes when the event is sure to run. committed (default): when all is decided and durable.",
      schema: Schema.words("accepted", "committed"))
    let priority = EndpointText.Parameter(
      name: "priority", text: "Default: what each trigger declares.",
      schema: Schema.words("critical", "high", "normal", "low"))
    let source = EndpointText.Parameter(
      name: "source",
      text: "A name for the sender: events of one source keep their order at each trigger.")
    let problems: [Problem.Code] = [
      .badJSON, .badEvent, .forbidden, .foreignOrigin, .tooLarge, .unsupportedMediaType, .keyReused,
      .queueFull, .keysFull, .storage, .stopping, .logFailed,
    ]
    return [
      Endpoint(
        method: .post, path: "/v1/events/{name+}", right: .send,
        summary:
          "Send one event: the body is its payload. As JSON Lines: one event a line, answered line by line.",
        isBrief: true,
        about: EndpointText(
          parameters: [
            wait, priority, source,
            .init(
              name: "kind", text: "Default: event.", schema: Schema.words("event", "data", "message")),
            .init(
              name: "Idempotency-Key",
              text:
                "The event is taken once a day for each key; sent again, it gets the first answer.",
              isInHead: true, schema: Schema.name),
          ],
          bodies: [
            "application/json": Schema.value, "application/jsonl": Schema.text,
            "application/x-ndjson": Schema.text,
          ],
          answers: [
            (
              200, "What came of it, durable; or a line for each line.",
              ["application/json", "application/jsonl"]
            ),
            (202, "It is sure to run.", ["application/json"]),
          ], problems: problems),
        handler: routes.sendNamed),
      Endpoint(
        method: .post, path: "/v1/events", right: .send,
        summary:
          "Send events that name themselves: JSON Lines as standard input takes them, or CloudEvents 1.0.",
        isBrief: true,
        about: EndpointText(
          parameters: [wait, priority, source],
          bodies: [
            "application/jsonl": Schema.text, "application/x-ndjson": Schema.text,
            "application/cloudevents+json": CloudEvent.schema,
            "application/cloudevents-batch+json": Schema.array(CloudEvent.schema),
          ], needsBody: true,
          answers: [
            (200, "What came of them, durable.", ["application/json", "application/jsonl"]),
            (202, "They are sure to run.", ["application/json"]),
          ], problems: problems),
        handler: routes.sendAny),
    ]
  }

  private static func pages(_ pages: PageRoutes) -> [Endpoint] {
    [
      Endpoint(
        method: .post, path: "/v1/page", right: .send,
        summary:
          "Exchange a token for a cookie of 15 minutes, or renew it: for pages of this host.",
        isBrief: true,
        about: EndpointText(
          answers: [(204, "The cookie, if a token was shown.", [])], problems: [.foreignOrigin]),
        handler: pages.begin),
      Endpoint(
        method: .delete, path: "/v1/page", right: .send, summary: "Forget the cookie.",
        isBrief: true,
        about: EndpointText(answers: [(204, "It is forgotten.", [])], problems: [.foreignOrigin]),
        handler: pages.end),
    ]
  }

  private static func health(_ host: RunningHost) -> [Endpoint] {
    let health = HealthRoutes(host: host)
    return [
      Endpoint(
        method: .get, path: "/healthz", right: .open,
        summary: "Whether the process lives and its log can be written.", isBrief: true,
        about: EndpointText(
          answers: [(200, "It does.", ["application/json"])], problems: [.logFailed]),
        handler: health.live),
      Endpoint(
        method: .get, path: "/readyz", right: .open,
        summary: "Whether everything is in order, and what is not.",
        about: EndpointText(
          answers: [(200, "It is.", ["application/json"])], problems: [.notReady]),
        handler: health.ready),
      Endpoint(
        method: .get, path: "/", right: .read, summary: "What runs, for people.",
        about: EndpointText(answers: [(200, "A page.", ["text/html"])], problems: [.forbidden]),
        handler: health.page),
      Endpoint(
        method: .get, path: "/problems/{name}", right: .open,
        summary: "What a type of problem means: where the `type` of a problem document leads.",
        about: EndpointText(answers: [(200, "A sentence.", ["text/plain"])], problems: [.notFound]),
        handler: health.problem),
    ]
  }
}
