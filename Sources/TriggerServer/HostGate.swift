import HTTPTypes
import HostConfig

/// Refuses requests that a page of another site has its reader's browser send.
///
/// A name of an attacker's that resolves to 127.0.0.1 makes a browser take this server for that site (DNS rebinding): its
/// `Host` gives it away. A page that sends to this server's own address is given away by its `Origin` (RFC 6454): other
/// programs send none.
struct HostGate: Sendable {
  private let names: Set<String>
  private let origins: Set<String>
  /// Loopback: no other names than those that mean this machine.
  private let isStrict: Bool

  init(_ options: ServerOptions) {
    let address = ListenAddress(host: options.host, port: options.port)
    names = Set(options.hostNames.map { $0.lowercased() } + [options.host.lowercased()])
    origins = Set(options.origins.map { $0.lowercased() })
    isStrict = address.isLoopback || !options.hostNames.isEmpty
  }

  /// - Throws: `Problem`: `bad_request`, `misdirected`, `foreign_origin`.
  func check(_ head: HTTPRequest) throws {
    // RFC 9112, section 3.2. An HTTP/1.0 client may leave it out; what it means is not known then.
    guard let authority = head.authority, let host = Self.host(of: authority) else {
      throw Problem(.badRequest, "the Host field is missing, or no host")
    }
    if isStrict, !names.contains(host), !ListenAddress.isLoopback(host) {
      throw Problem(
        .misdirected, "this server is not '\(host.prefix(100))': ask for localhost, or name the host in hosts"
      )
    }
    guard let origin = head.headerFields[.origin]?.lowercased(), !origins.contains(origin) else { return }
    // The scheme may be a proxy's in front.
    let isOwn = ["http://", "https://"].contains { origin == $0 + authority.lowercased() }
    if !isOwn, head.method != .get, head.method != .head {
      throw Problem(.foreignOrigin, "pages of '\(origin.prefix(100))' may not send anything here")
    }
  }

  /// The host without its port, in small letters and without brackets; nil when the text is none.
  static func host(of authority: String) -> String? {
    var host = authority[...]
    let end =
      host.hasPrefix("[") ? host.firstIndex(of: "]").map { host.index(after: $0) } : host.firstIndex(of: ":")
    if host.hasPrefix("["), end == nil { return nil }
    let port = host[(end ?? host.endIndex)...]
    host = host[..<(end ?? host.endIndex)]
    guard port.isEmpty || port.first == ":" && port.dropFirst().utf8.allSatisfy({ (48...57).contains($0) })
    else {
      return nil
    }
    if host.hasPrefix("[") { host = host.dropFirst().dropLast() }
    let isHost = host.utf8.allSatisfy { byte in
      byte > 0x20 && byte < 0x7f && !"/\\@?#\"<>[]".utf8.contains(byte)
    }
    return host.isEmpty || !isHost ? nil : host.lowercased()
  }
}
