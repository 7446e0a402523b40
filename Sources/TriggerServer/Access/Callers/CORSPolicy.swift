import HTTPTypes
import HostConfig

/// Which pages of other origins may use this host with a token of their own (Fetch, section 3.2: CORS).
///
/// A browser sends them no cookie of ours: `Access-Control-Allow-Credentials` is never said.
public struct CORSPolicy: Sendable {
  private let origins: Set<WebOrigin>
  /// How long a browser may remember the answer to a preflight.
  private static let maxAge = "600"
  private static let methods = "GET, HEAD, POST, PUT, PATCH, DELETE"
  private static let requestFields =
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, traceparent, "
    + "ce-specversion, ce-type, ce-source, ce-id, ce-time, ce-subject, ce-dataschema"
  private static let responseFields = "ETag, Link, Location, Retry-After"

  init(origins: [WebOrigin]) { self.origins = Set(origins) }

  /// - Parameter origins: such as `https://app.example.org`.
  /// - Throws: `AccessError` for a text that is no origin.
  public init(_ origins: [String]) throws(AccessError) {
    var parsed: [WebOrigin] = []
    for text in origins {
      guard let origin = WebOrigin(parsing: text) else {
        throw AccessError("`\(text)` is no origin: scheme, host and port alone, like https://app.example.org")
      }
      parsed.append(origin)
    }
    self.init(origins: parsed)
  }

  func allows(_ origin: WebOrigin) -> Bool { origins.contains(origin) }

  /// What belongs to the answer of a request, whatever the answer is. Empty when no origin is listed.
  public func fields(for request: AccessRequest) -> HTTPFields {
    var fields = HTTPFields()
    if origins.isEmpty { return fields }
    // A cache must not give one origin the answer to another.
    fields[.vary] = "Origin"
    guard case .foreign(let origin) = request.origin, allows(origin), let text = request.fields[.origin]
    else { return fields }
    fields[.accessControlAllowOrigin] = text
    fields[.accessControlExposeHeaders] = Self.responseFields
    return fields
  }

  /// The fields of the answer (204, no body) to a preflight; nil when the request is none. An origin that is not listed gets
  /// none of the fields that would allow anything.
  public func preflight(_ request: AccessRequest) -> HTTPFields? {
    guard request.method == .options, request.fields.contains(.accessControlRequestMethod) else { return nil }
    var fields = fields(for: request)
    guard fields[.accessControlAllowOrigin] != nil else { return fields }
    fields[.accessControlExposeHeaders] = nil
    fields[.accessControlAllowMethods] = Self.methods
    fields[.accessControlAllowHeaders] = Self.requestFields
    fields[.accessControlMaxAge] = Self.maxAge
    return fields
  }
}
