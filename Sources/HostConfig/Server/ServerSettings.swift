import TriggerCore

extension HostConfig {
  /// How much may come in over the network; `TriggerServer` says what each limit is for.
  package struct ServerLimits: Sendable, Hashable {
    package var connections = 20_000
    package var addressConnections = 256
    /// Bytes.
    package var header = 32 << 10
    package var headerTime = Duration.seconds(10)
    /// Bytes.
    package var body = 1 << 20
    package var bodyTime = Duration.seconds(30)
    package var idleTime = Duration.seconds(120)
    /// Bytes of a message on a WebSocket.
    package var message = 1 << 20
    package var pingTime = Duration.seconds(30)
    /// Requests and messages a second; nil: any number.
    package var tokenRate: Int?
    /// Requests a second; nil: any number.
    package var addressRate: Int? = 2_000

    package init() {}
  }

  /// The files that a host encrypts with.
  package struct TLS: Sendable, Hashable {
    package var certificate: Path
    package var key: Path
    /// Who signs the certificates that callers must show; nil: they need none.
    package var clientCA: Path?
  }

  mutating func readServer(_ map: MapReader) {
    readHostNames(map)
    cors = map.list("cors", orSingle: true).compactMap { node in
      if case .scalar(let text, _) = node.content, let origin = WebOrigin(parsing: text) { return origin }
      map.reader.fail(
        node,
        "cors: expected an origin, scheme, host and port alone, like https://app.example.org, got \(node.excerpt)"
      )
      return nil
    }
    readTLS(map)
    readServerLimits(map)
  }

  private mutating func readHostNames(_ map: MapReader) {
    hostNames = map.list("host_names", orSingle: true).compactMap { node in
      if case .scalar(let text, _) = node.content, let name = WebAuthority(parsing: text), name.port == nil {
        return name.host
      }
      map.reader.fail(
        node, "host_names: expected a name without port, like host.example.org, got \(node.excerpt)")
      return nil
    }
  }

  private mutating func readTLS(_ map: MapReader) {
    guard let section = map.map("tls", keys: ["certificate", "key", "client_ca"]) else { return }
    func file(_ key: String) -> Path? {
      guard let text = section.string(key), let node = section.node(key) else { return nil }
      return path(text, line: node.line)
    }
    for key in ["certificate", "key"] where !section.has(key) { section.fail("needs \(key), a PEM file") }
    guard let certificate = file("certificate"), let key = file("key") else { return }
    tls = TLS(certificate: certificate, key: key, clientCA: file("client_ca"))
  }

  private mutating func readServerLimits(_ map: MapReader) {
    let keys = [
      "connections", "address_connections", "header", "header_time", "body", "body_time", "idle_time",
      "message", "ping_time", "token_rate", "address_rate",
    ]
    guard let section = map.map("server_limits", keys: keys) else { return }
    var limits = ServerLimits()
    limits.connections = section.integer("connections", in: 1...1_000_000) ?? limits.connections
    limits.addressConnections =
      section.integer("address_connections", in: 1...1_000_000) ?? limits.addressConnections
    limits.header = section.size("header", in: 1 << 10...64 << 10) ?? limits.header
    limits.headerTime = section.timeSpan("header_time") ?? limits.headerTime
    limits.body = section.size("body", in: 1 << 10...1 << 30) ?? limits.body
    limits.bodyTime = section.timeSpan("body_time") ?? limits.bodyTime
    limits.idleTime = section.timeSpan("idle_time") ?? limits.idleTime
    limits.message = section.size("message", in: 1 << 10...1 << 30) ?? limits.message
    limits.pingTime = section.timeSpan("ping_time") ?? limits.pingTime
    if let rate = section.rate("token_rate") { limits.tokenRate = rate.number }
    if let rate = section.rate("address_rate") { limits.addressRate = rate.number }
    serverLimits = limits
  }
}

/// What bounds how often something may come.
private enum Rate {
  case any
  case most(Int)

  var number: Int? { if case .most(let number) = self { number } else { nil } }
}

extension MapReader {
  /// A number a second, or `none`; nil when the key is absent or wrong.
  fileprivate func rate(_ key: String) -> Rate? {
    let most = 10_000_000
    return scalar(key, expected: "none or a whole number from 1 to \(most), per second") { text, isPlain in
      if text == "none" { return .any }
      guard isPlain, let number = ConfigNode.integer(text).flatMap({ Int(exactly: $0) }) else { return nil }
      return (1...most).contains(number) ? .most(number) : nil
    }
  }

  /// A size within bounds.
  fileprivate func size(_ key: String, in range: ClosedRange<Int>) -> Int? {
    guard let size = byteSize(key) else { return nil }
    if range.contains(size) { return size }
    fail(
      key,
      "expected \(ByteSize(bytes: range.lowerBound)) to \(ByteSize(bytes: range.upperBound)), got \(ByteSize(bytes: size))"
    )
    return nil
  }
}
