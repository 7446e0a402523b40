/// Where a page comes from: scheme, host and port (RFC 6454), compared as browsers do.
package struct WebOrigin: Hashable, Sendable, CustomStringConvertible {
  /// `http` or `https`.
  package let scheme: String
  /// In lower case; an IPv6 address in brackets.
  package let host: String
  package let port: Int

  /// `https://app.example.org` or `http://localhost:5173`: nothing after the port, not even a slash. Nil for anything else,
  /// such as `null` and origins of other schemes.
  package init?(parsing text: String) {
    let lower = text.lowercased()
    guard let scheme = ["http", "https"].first(where: { lower.hasPrefix("\($0)://") }) else { return nil }
    guard let authority = WebAuthority(parsing: String(lower.dropFirst(scheme.count + 3))) else { return nil }
    self.scheme = scheme
    host = authority.host
    port = authority.port ?? WebOrigin.defaultPort(of: scheme)
  }

  package static func defaultPort(of scheme: String) -> Int { scheme == "https" ? 443 : 80 }

  package var description: String {
    port == Self.defaultPort(of: scheme) ? "\(scheme)://\(host)" : "\(scheme)://\(host):\(port)"
  }
}

/// A host with or without a port, as a request names it (RFC 9110, section 7.2).
package struct WebAuthority: Hashable, Sendable {
  /// In lower case; an IPv6 address in brackets.
  package let host: String
  /// Nil: the scheme's.
  package let port: Int?

  /// Nil when `text` is none: empty, a port that is no number, a character that no host has.
  package init?(parsing text: String) {
    let lower = text.lowercased()
    let end =
      lower.hasPrefix("[")
      ? lower.firstIndex(of: "]").map { lower.index(after: $0) } : lower.firstIndex(of: ":")
    if lower.hasPrefix("["), end == nil { return nil }
    let host = lower[..<(end ?? lower.endIndex)]
    let rest = lower[(end ?? lower.endIndex)...]
    guard WebAuthority.isHost(host) else { return nil }
    self.host = String(host)
    if rest.isEmpty {
      port = nil
      return
    }
    let digits = rest.dropFirst()
    guard rest.first == ":", (1...5).contains(digits.utf8.count),
      digits.utf8.allSatisfy({ (48...57).contains($0) }),
      let port = Int(digits), (1...65_535).contains(port)
    else { return nil }
    self.port = port
  }

  private static func isHost(_ host: Substring) -> Bool {
    if host.hasPrefix("[") {
      return host.hasSuffix("]") && host.dropFirst().dropLast().utf8.allSatisfy { isAddress($0) }
        && host.utf8.count > 3
    }
    return !host.isEmpty && host.utf8.count <= 253
      && host.utf8.allSatisfy { isAddress($0) || isLetter($0) || $0 == 0x2D || $0 == 0x5F }
      && !host.utf8.contains(UInt8(ascii: ":"))
  }

  /// `0-9`, `a-f`, `:` and `.`
  private static func isAddress(_ byte: UInt8) -> Bool {
    (48...58).contains(byte) || (97...102).contains(byte) || byte == 0x2E
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte) }
}
