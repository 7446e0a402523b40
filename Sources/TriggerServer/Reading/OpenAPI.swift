import HTTPTypes
import Hummingbird
import TriggerCore

/// `GET /v1/openapi.json`: what a server answers, for machines (OpenAPI 3.1). Made of the endpoints themselves.
enum OpenAPI {
  /// What every endpoint that asks who comes may refuse.
  private static let ofAll: [Problem.Code] = [
    .badRequest, .unauthorized, .proxied, .requestTimeout, .misdirected, .tooManyRequests, .headersTooLarge,
    .internal,
  ]

  /// - Parameter others: all the rest.
  static func endpoint(of others: [Endpoint]) -> Endpoint {
    func made(_ handler: @escaping Endpoint.Handler) -> Endpoint {
      Endpoint(
        method: .get, path: "/v1/openapi.json", right: .open, summary: "This description.",
        about: EndpointText(
          answers: [(200, "An OpenAPI 3.1 document.", ["application/json"])], schemas: [200: Schema.anyMap]),
        handler: handler)
    }
    let bytes = document(others + [made { _, _ in throw Problem(.notFound) }]).jsonBytes
    return made { _, _ in Response(status: .ok, bytes: bytes, type: "application/json") }
  }

  static func document(_ endpoints: [Endpoint]) -> Value {
    var paths: Value.Map = [:]
    for endpoint in endpoints {
      let path = name(of: endpoint)
      var item: Value.Map = if case .map(let known)? = paths[path] { known } else { [:] }
      item[endpoint.method.rawValue.lowercased()] = operation(endpoint)
      paths[path] = .map(item)
    }
    return [
      "openapi": "3.1.0",
      "info": [
        "title": "trigger-host", "version": "1",
        "description":
          "Events in; stores, executions and the log out. Refusals are problem documents (RFC 9457).",
      ],
      "paths": .map(paths),
      "components": [
        "schemas": ["Problem": Schema.problem, "Value": Schema.storable],
        "securitySchemes": [
          "token": [
            "type": "http", "scheme": "bearer",
            "description":
              "trigger-host token create makes one. On loopback a host without tokens asks for none.",
          ]
        ],
      ],
    ]
  }

  /// Without the plus sign that says that slashes may be in a parameter.
  static func name(of endpoint: Endpoint) -> String { endpoint.path.replacing("+}", with: "}") }

  private static func operation(_ endpoint: Endpoint) -> Value {
    let about = endpoint.about
    var fields: Value.Map = [
      "summary": .string(endpoint.summary), "operationId": .string(identity(endpoint)),
      "responses": .map(answers(endpoint)),
    ]
    let parameters = pathParameters(endpoint) + about.parameters.map(parameter)
    if !parameters.isEmpty { fields["parameters"] = .array(parameters) }
    if !about.bodies.isEmpty {
      var content: Value.Map = [:]
      for (type, schema) in about.bodies { content[type] = ["schema": schema] }
      fields["requestBody"] = ["content": .map(content), "required": .bool(about.needsBody)]
    }
    if case .open = endpoint.right {
      fields["security"] = .array([])
    } else {
      fields["security"] = .array([["token": .array([])], [:]])
    }
    return .map(fields)
  }

  /// `get_v1_stores_store`
  private static func identity(_ endpoint: Endpoint) -> String {
    let words = endpoint.segments.map { $0.filter { $0.isLetter || $0.isNumber || $0 == "_" } }
    return ([endpoint.method.rawValue.lowercased()] + words.map { String($0) }).joined(separator: "_")
  }

  private static func pathParameters(_ endpoint: Endpoint) -> [Value] {
    endpoint.segments.filter { $0.hasPrefix("{") }.map { segment in
      let name = segment.dropFirst().dropLast(segment.hasSuffix("+}") ? 2 : 1)
      return [
        "name": .string(String(name)), "in": "path", "required": true,
        "schema": ["type": "string", "minLength": 1],
      ]
    }
  }

  private static func parameter(_ parameter: EndpointText.Parameter) -> Value {
    [
      "name": .string(parameter.name), "in": parameter.isInHead ? "header" : "query", "required": false,
      "description": .string(parameter.text), "schema": parameter.schema,
    ]
  }

  private static func answers(_ endpoint: Endpoint) -> Value.Map {
    var answers: Value.Map = [:]
    for answer in endpoint.about.answers {
      var fields: Value.Map = ["description": .string(answer.text)]
      var content: Value.Map = [:]
      for type in answer.types {
        let schema = type == "application/json" ? endpoint.about.schemas[answer.status] : nil
        content[type] = ["schema": schema ?? Schema.any]
      }
      if !content.isEmpty { fields["content"] = .map(content) }
      answers["\(answer.status)"] = .map(fields)
    }
    var codes = endpoint.about.problems
    codes += ofAll.filter { !codes.contains($0) }
    for (status, codes) in Dictionary(grouping: codes, by: \.status.code) {
      let texts = codes.map { "`\($0.rawValue)`: \($0.title)." }
      answers["\(status)"] = [
        "description": .string(texts.joined(separator: " ")),
        "content": [
          Problem.mediaType: ["schema": ["$ref": "#/components/schemas/Problem"]]
        ],
      ]
    }
    return answers
  }
}
