import HTTPTypes
import HostConfig

/// What of a request says who sends it, and from where.
public struct AccessRequest: Sendable {
  /// Whose socket it is; nil for one without an IP address.
  public var peer: IPAddress?
  /// Whether it came over TLS to this host itself.
  public var isEncrypted: Bool
  /// Whether it asks for a WebSocket.
  public var isWebSocket: Bool
  /// The method.
  public var method: HTTPRequest.Method
  /// `Host`, or `:authority` of HTTP/2.
  public var host: String?
  /// All fields.
  public var fields: HTTPFields

  /// - Parameter head: of the request. A field that may come once and came twice is refused where it matters.
  public init(_ head: HTTPRequest, peer: IPAddress?, isEncrypted: Bool = false, isWebSocket: Bool = false) {
    self.peer = peer
    self.isEncrypted = isEncrypted
    self.isWebSocket = isWebSocket
    method = head.method
    host = head.authority
    fields = head.headerFields
  }

  /// Whether it changes nothing (RFC 9110, section 9.2.1).
  var isSafe: Bool { !isWebSocket && [.get, .head, .options].contains(method) }

  /// Whether a proxy says that it sends this for somebody (RFC 7239, and what came before it).
  var isForwarded: Bool {
    Self.forwarding.contains { fields.contains($0) }
  }

  private static let forwarding = ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"].compactMap {
    HTTPField.Name($0)
  }

  /// Whose page sends it: nil when no page says so.
  var origin: RequestOrigin? {
    let values = fields[values: .origin]
    if values.isEmpty { return nil }
    guard values.count == 1, let origin = WebOrigin(parsing: values[0]) else { return .unknown }
    return isOwn(origin) ? .own : .foreign(origin)
  }

  /// Whether it is the origin of this host's own pages: the host and port that the request itself names. Whether a proxy
  /// encrypts is not known, so `https` counts as the host's own also without TLS, and `http` does not with it.
  private func isOwn(_ origin: WebOrigin) -> Bool {
    if isEncrypted && origin.scheme != "https" { return false }
    guard let host, let authority = WebAuthority(parsing: host) else { return false }
    return authority.host == origin.host
      && (authority.port ?? WebOrigin.defaultPort(of: origin.scheme)) == origin.port
  }
}

/// Whose page sends a request.
enum RequestOrigin: Hashable {
  /// This host's.
  case own
  case foreign(WebOrigin)
  /// `null` (a file, a sandboxed frame), something else that is no origin of the web, or two of them.
  case unknown
}
