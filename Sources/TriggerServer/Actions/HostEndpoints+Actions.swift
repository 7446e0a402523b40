import TriggerCore
import TriggerHost

extension HostEndpoints {
  private static let problems: [Problem.Code] = [
    .badQuery, .forbidden, .foreignOrigin, .noLog, .storage, .busy, .stopping,
  ]

  static func actions(_ reader: HostReader, _ limits: ServerLimits) -> [Endpoint] {
    let routes = ActionRoutes(reader: reader, limits: limits)
    return dead(routes, .requeued, "requeue", "Put back", "It runs again at once, with the scripts of now.")
      + dead(routes, .dropped, "drop", "Let go of", "The log still has it.")
      + [
        Endpoint(
          method: .post, path: "/v1/scripts/{tree}/rollback", right: .act,
          summary:
            "Write the files of a script tree back into the scripts directory. The host takes them up like any save.",
          about: EndpointText(
            parameters: [
              .init(
                name: "force", text: "true: overwrites files that were edited and are in no tree.",
                schema: Schema.words("true", "false"))
            ],
            answers: [(200, "What was written and removed.", ["application/json"])],
            problems: problems + [.badRequest, .noTree, .scriptsEdited],
            schemas: [
              200: Schema.object([
                "tree": Schema.seq, "directory": Schema.text, "written": Schema.array(Schema.text),
                "removed": Schema.array(Schema.text),
              ])
            ]),
          handler: routes.rollback)
      ]
  }

  private static func dead(
    _ routes: ActionRoutes, _ action: DeadMark, _ name: String, _ words: String, _ then: String
  ) -> [Endpoint] {
    let schema = Schema.object([
      "action": ["const": .string(action.rawValue)], "seqs": Schema.array(Schema.seq),
    ])
    let answers = [(200, "Done, and durable.", ["application/json"])]
    let problems = problems + [.notDead, .logFailed]
    let seqs: Value = ["type": "array", "items": Schema.seq, "minItems": 1]
    let selection = Schema.either(
      Schema.closed(["seqs": seqs]),
      Schema.closed(["all": ["const": true], "trigger": Schema.text], optional: ["trigger"]))
    return [
      Endpoint(
        method: .post, path: "/v1/dead/{seq}/\(name)", right: .act,
        summary: "\(words) an operation that failed for good. \(then)",
        about: EndpointText(
          answers: answers, problems: problems + [.badRequest], schemas: [200: schema]),
        handler: routes.settleOne(as: action)),
      Endpoint(
        method: .post, path: "/v1/dead/\(name)", right: .act,
        summary: "\(words) operations that failed for good: all that the body names, or none.",
        about: EndpointText(
          bodies: ["application/json": selection], needsBody: true, answers: answers,
          problems: problems + [.badJSON, .badBody, .tooLarge, .unsupportedMediaType],
          schemas: [200: schema]),
        handler: routes.settleMany(as: action)),
    ]
  }
}
