import HostConfig

/// Which names of itself a host answers to.
///
/// A page may give a name of its own the address of this host, and is then, for the browser, a page of this host (DNS
/// rebinding). The name is in `Host`. So wherever somebody comes in without a token only names count that nobody else can
/// take: IP addresses, `localhost`, and those of the configuration.
struct HostRule: Sendable {
  private let names: Set<String>
  private let isStrict: Bool

  /// - Parameter names: of the configuration, without ports.
  /// - Parameter isOpen: whether somebody may come in without a token, or the host is reached from this machine only.
  init(names: [String], isOpen: Bool) {
    self.names = Set(names.map { $0.lowercased() })
    isStrict = isOpen || !names.isEmpty
  }

  func check(_ host: String?) throws(Refusal) {
    guard let host, let authority = WebAuthority(parsing: host) else {
      throw Refusal(
        .badHost,
        "Host: expected the name or address of this host, got \(host == nil ? "nothing" : "another text")")
    }
    if !isStrict || names.contains(authority.host) || Self.isNobodys(authority.host) { return }
    throw Refusal(
      .foreignHost,
      "Host: this host is not known as `\(authority.host)`. host_names in host.yaml says under which names it is reached."
    )
  }

  /// Whether nobody can make the name lead elsewhere (RFC 6761, section 6.3, for `localhost`).
  private static func isNobodys(_ host: String) -> Bool {
    let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
    return host == "localhost" || host.hasSuffix(".localhost") || IPAddress(bare) != nil
  }
}
