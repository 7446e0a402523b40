import TriggerCore

extension HostEndpoints {
  /// What routes that read may refuse, and how their parameters are written.
  enum Reading {
    static let seqText = "Reads as of this seq, which is in the log. Default: as of now."
    static let seq = EndpointText.Parameter(name: "seq", text: seqText, schema: Schema.seq)
    static let leastSeq = EndpointText.Parameter(
      name: "min_seq", text: "Waits until this seq is committed, for 30 s at most.", schema: Schema.seq)
    static let past: [Problem.Code] = [
      .badQuery, .forbidden, .seqAhead, .seqGone, .noLog, .notYet, .busy, .storage, .stopping,
    ]
  }

  static func stores(_ reader: HostReader) -> [Endpoint] {
    let routes = StoreRoutes(reader: reader)
    let item = Schema.object(
      [
        "key": Schema.text, "version": Schema.seq, "value": Schema.any,
        "value_text": Schema.text,
      ], optional: ["value", "value_text"])
    return [
      Endpoint(
        method: .get, path: "/v1/stores", right: .read, summary: "The stores, and how many keys they have.",
        about: EndpointText(
          parameters: [Reading.seq, Reading.leastSeq],
          answers: [(200, "All stores, as of the seq.", ["application/json"])], problems: Reading.past,
          schemas: [
            200: Schema.object([
              "seq": Schema.count,
              "stores": Schema.array(Schema.object(["name": Schema.text, "keys": Schema.count])),
            ])
          ]),
        handler: routes.list),
      Endpoint(
        method: .get, path: "/v1/stores/{store}", right: .read,
        summary: "The keys of a store, in byte order, page by page.",
        about: EndpointText(
          parameters: [
            .init(name: "prefix", text: "Only keys that begin with it."),
            .init(name: "after", text: "Only keys that come after it: the last one of the page before."),
            .init(
              name: "limit", text: "At most so many keys. Default: 100.", schema: Schema.integer(1, 1000)),
            .init(
              name: "values", text: "false: keys and versions alone.", schema: Schema.words("true", "false")),
            Reading.seq, Reading.leastSeq,
          ],
          answers: [
            (200, "A page, as of its seq. next is the path of the page after it.", ["application/json"])
          ], problems: Reading.past + [.noStore],
          schemas: [
            200: Schema.object(
              [
                "store": Schema.text, "seq": Schema.count, "keys": Schema.array(item), "next": Schema.text,
              ], optional: ["next"])
          ]),
        handler: routes.page),
      Endpoint(
        method: .get, path: "/v1/stores/{store}/{key+}", right: .read,
        summary: "The bare value at a key; the seq that wrote it is the ETag.",
        about: EndpointText(
          parameters: [
            Reading.seq, Reading.leastSeq,
            .init(
              name: "If-None-Match", text: "Versions that the caller has: 304 when it is one of them.",
              isInHead: true),
          ],
          answers: [
            (200, "The value; a byte string as it is.", ["application/json", "application/octet-stream"]),
            (304, "The caller has it.", []),
          ], problems: Reading.past + [.badRequest, .noStore, .noKey, .noJSONForm], schemas: [200: Schema.any]
        ),
        handler: routes.value),
    ]
  }
}
