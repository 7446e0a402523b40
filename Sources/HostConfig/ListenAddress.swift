/// Where a server listens: `HOST:PORT`, as `--listen` and `listen:` in host.yaml say it.
package struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
  /// A name or an address; an IPv6 address without its brackets.
  package var host: String
  /// 0: any that is free.
  package var port: Int

  package init(host: String, port: Int) { (self.host, self.port) = (host, port) }

  /// What is wrong with a text that is no address.
  package struct Fault: Error, CustomStringConvertible {
    package let description: String
  }

  /// - Parameter text: `127.0.0.1:8080`, `localhost:8080`, `[::1]:8080`.
  /// - Throws: `Fault`, with what would be right.
  package init(parsing text: String) throws(Fault) {
    let example = "write HOST:PORT such as 127.0.0.1:8080"
    guard let colon = text.lastIndex(of: ":") else {
      let isPort = Self.port(text) != nil
      throw Fault(
        description: isPort
          ? "`\(text)` names no host; write 127.0.0.1:\(text), or 0.0.0.0:\(text) for every address"
          : "`\(text)` has no port; \(example)")
    }
    var host = String(text[..<colon])
    guard let port = Self.port(text[text.index(after: colon)...]) else {
      throw Fault(description: "`\(text)` has no port from 0 to 65535; \(example)")
    }
    if host.hasPrefix("["), host.hasSuffix("]"), host.count > 2 {
      host = String(host.dropFirst().dropLast())
    } else if host.contains(":") {
      throw Fault(description: "`\(text)`: an IPv6 address stands in brackets, such as [::1]:8080")
    }
    if host.isEmpty {
      throw Fault(
        description: "`\(text)` names no host; write 127.0.0.1:\(port), or 0.0.0.0:\(port) for every address")
    }
    let isName = host.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"),
        UInt8(ascii: "_"):
        true
      default: false
      }
    }
    if !isName { throw Fault(description: "`\(host)` is no name of a host; \(example)") }
    self.init(host: host, port: port)
  }

  private static func port(_ text: some StringProtocol) -> Int? {
    guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else {
      return nil
    }
    return Int(text).flatMap { $0 <= 65535 ? $0 : nil }
  }

  /// True when only this machine reaches it: `localhost`, 127.0.0.0/8 (RFC 1122, section 3.2.1.3), `::1` (RFC 4291,
  /// section 2.5.3). Of any other name nobody knows what it will be.
  package var isLoopback: Bool { Self.isLoopback(host) }

  /// As above, of a host without a port.
  package static func isLoopback(_ host: some StringProtocol) -> Bool {
    let name = host.lowercased()
    if name == "localhost" || name == "::1" || name == "0:0:0:0:0:0:0:1" { return true }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127"
      && parts.allSatisfy { part in
        (1...3).contains(part.utf8.count) && part.utf8.allSatisfy { (48...57).contains($0) }
          && Int(part)! <= 255
      }
  }

  /// `HOST:PORT`, an IPv6 address in brackets.
  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
