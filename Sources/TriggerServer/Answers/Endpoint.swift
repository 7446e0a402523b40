import HTTPTypes
import Hummingbird
import TriggerCore

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
    /// Who may act on the host.
    case act
  }

  let method: HTTPRequest.Method
  /// `/v1/stores/{store}/{key+}`: a plus sign says that slashes may be in it.
  let path: String
  let right: Right
  let summary: String
  /// Neither waits for a disk nor takes long: it runs where its connection is served.
  var isBrief = false
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
}

/// The endpoints of a server, found by method and path.
struct EndpointTable: Sendable {
  private enum Segment {
    case text([UInt8])
    case any
    /// One or more.
    case rest
  }

  let all: [Endpoint]
  private let paths: [[Segment]]

  init(_ all: [Endpoint]) {
    self.all = all
    paths = all.map { endpoint in
      endpoint.segments.map { $0.hasSuffix("+}") ? .rest : $0.hasPrefix("{") ? .any : .text(Array($0.utf8)) }
    }
  }

  /// The endpoint of a request; nil when there is none, and for `HEAD`.
  func find(_ method: HTTPRequest.Method, _ path: String) -> Endpoint? {
    all.indices.first { all[$0].method == method && Self.matches(paths[$0], path) }.map { all[$0] }
  }

  /// The endpoints of a path, whatever the method.
  func those(at path: String) -> [Endpoint] {
    all.indices.filter { Self.matches(paths[$0], path) }.map { all[$0] }
  }

  private static func matches(_ segments: [Segment], _ path: String) -> Bool {
    var path = path
    return path.withUTF8 { bytes in
      var rest = bytes[...]
      func drop() { rest = rest.drop { $0 == UInt8(ascii: "/") } }
      drop()
      for segment in segments {
        if rest.isEmpty { return false }
        let given = rest.prefix { $0 != UInt8(ascii: "/") }
        switch segment {
        case .rest: return true
        case .any: break
        case .text(let text): if !given.elementsEqual(text) { return false }
        }
        rest = rest[given.endIndex...]
        drop()
      }
      return rest.isEmpty
    }
  }
}

/// What is said of an endpoint beside its summary.
struct EndpointText: Sendable {
  struct Parameter: Sendable {
    let name: String
    let text: String
    var isInHead = false
    /// What it may be.
    var schema = Schema.text
  }

  /// Parameters of the query and the head.
  var parameters: [Parameter] = []
  /// Media types of the body, and what the JSON of each is: what has no JSON is text.
  var bodies: KeyValuePairs<String, Value> = [:]
  /// A body must come.
  var needsBody = false
  /// What it answers, by status, when it does not refuse.
  var answers: [(status: Int, text: String, types: [String])] = []
  /// How it refuses, beside what every endpoint may refuse.
  var problems: [Problem.Code] = []
  /// What the JSON of an answer is, by its status.
  var schemas: [Int: Value] = [:]
}
