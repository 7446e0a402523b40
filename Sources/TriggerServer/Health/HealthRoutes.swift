import HTTPTypes
import Hummingbird
import TriggerCore
import TriggerHost
import TriggerRuntime

/// Whether a host lives, whether it is in order, and what runs.
struct HealthRoutes: Sendable {
  let host: RunningHost

  /// `GET /healthz`: for who starts a process again that is dead.
  func live(_ request: Request, _ context: ServerContext) throws -> Response {
    if let failure = host.queue.failure {
      throw Problem(.logFailed, "the log cannot be written: \(failure)")
    }
    return Response(status: .ok, json: ["status": "ok"])
  }

  /// `GET /readyz`: for who sends work elsewhere, and for people.
  func ready(_ request: Request, _ context: ServerContext) throws -> Response {
    let troubles = host.troubles
    if troubles.isEmpty { return Response(status: .ok, json: ["status": "ready"]) }
    throw Problem(
      .notReady, troubles.map(\.text).joined(separator: "; "),
      fields: [
        "troubles": .array(
          troubles.map { trouble in
            var fields: Value.Map = ["code": .string(trouble.code.rawValue), "detail": .string(trouble.text)]
            if let name = trouble.name { fields["name"] = .string(name) }
            return .map(fields)
          })
      ]
    ).retryAfter(5)
  }

  /// `GET /problems/{name}`
  func problem(_ request: Request, _ context: ServerContext) throws -> Response {
    let type = "/problems/" + (try request.segment(1))
    guard let code = Problem.Code.allCases.first(where: { $0.type == type }) else { throw Problem(.notFound) }
    return Response(
      status: .ok, bytes: "\(code.rawValue), \(code.status.code): \(code.title).\n".utf8,
      type: "text/plain; charset=utf-8")
  }

  /// `GET /`
  func page(_ request: Request, _ context: ServerContext) -> Response {
    let page = FirstPage(host: host)
    return Response(
      status: .ok,
      headers: [
        .contentSecurityPolicy: "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
      ],
      bytes: page.html.utf8, type: "text/html; charset=utf-8")
  }
}
