import HTTPTypes
import Hummingbird

/// One method of one path, with what `GET /v1/openapi.json` says of it: there is no route without its description.
struct Endpoint: Sendable {
  typealias Handler = @Sendable (Request, ServerContext) async throws -> Response

  /// Who may.
  enum Right: Sendable {
    /// Anyone, without a word about who asks.
    case open
    /// Who may read.
    case read
    /// What it needs depends on the event: the handler asks.
    case send
  }

  let method: HTTPRequest.Method
  /// `/v1/stores/{store}/{key+}`: a plus sign says that slashes may be in it.
  let path: String
  let right: Right
  let summary: String
  var about = EndpointText()
  let handler: Handler

  /// Segments of the path.
  var segments: [Substring] { path.split(separator: "/") }

  /// The path as Hummingbird has it.
  var routerPath: RouterPath {
    RouterPath(
      "/"
        + segments.map { segment in
          segment.hasSuffix("+}")
            ? "**" : segment.hasPrefix("{") ? ":" + segment.dropFirst().dropLast() : segment
        }.joined(separator: "/"))
  }

  /// Whether a path of a request is one of these.
  func matches(_ path: String) -> Bool {
    let (own, given) = (segments, path.split(separator: "/"))
    if own.last?.hasSuffix("+}") == true ? given.count < own.count : given.count != own.count { return false }
    return zip(own, given).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
  }
}

/// What is said of an endpoint beside its summary.
struct EndpointText: Sendable {
  struct Parameter: Sendable {
    let name: String
    let text: String
    var isInHead = false
  }

  /// Parameters of the query and the head.
  var parameters: [Parameter] = []
  /// Media types of the body.
  var bodies: [String] = []
  /// What it answers, by status, when it does not refuse.
  var answers: [(status: Int, text: String, types: [String])] = []
  /// How it refuses, beside what every endpoint may refuse.
  var problems: [Problem.Code] = []
}
