/// How many connections are open, in all and by address. A pure machine. It remembers an address as long as one of its
/// connections is open, so it is no larger than the number of connections. O(1)
struct ConnectionTable: Sendable {
  private let limits: ServerLimits
  private(set) var total = 0
  private(set) var byNetwork: [IPAddress: Int] = [:]

  init(_ limits: ServerLimits) { self.limits = limits }

  mutating func open(_ peer: IPAddress?) throws(Refusal) {
    guard total < limits.connections else {
      throw Refusal(.connections, "This host has all the connections that it may have.", retryAfter: 1)
    }
    if let network = bounded(peer) {
      let open = byNetwork[network] ?? 0
      guard open < limits.addressConnections else {
        throw Refusal(
          .addressConnections, "Your address has \(open) connections open, as many as it may.", retryAfter: 1)
      }
      byNetwork[network] = open + 1
    }
    total += 1
  }

  /// Of a connection that was opened.
  mutating func close(_ peer: IPAddress?) {
    total = max(0, total - 1)
    guard let network = bounded(peer), let open = byNetwork[network] else { return }
    byNetwork[network] = open > 1 ? open - 1 : nil
  }

  /// Who is on this machine could take its time in other ways; a proxy there speaks for many.
  private func bounded(_ peer: IPAddress?) -> IPAddress? {
    peer.flatMap { $0.isLoopback ? nil : $0.network }
  }
}
