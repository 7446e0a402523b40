import Synchronization
import TriggerCore
import TriggerHost

/// The limits that all connections share, behind one lock that is held for less than a microsecond. Any thread.
final class Gate: Sendable {
  private struct State {
    var connections: ConnectionTable
    var addresses: RateTable<IPAddress>?
    var tokens: RateTable<TokenID>?
  }
  private let state: Mutex<State>

  init(_ limits: ServerLimits) {
    func table<Caller>(_ rate: Int?, _: Caller.Type) -> RateTable<Caller>? {
      rate.map { RateTable(rate: $0, burst: $0 * limits.burst, capacity: limits.rememberedCallers) }
    }
    state = Mutex(
      State(
        connections: ConnectionTable(limits), addresses: table(limits.addressRate, IPAddress.self),
        tokens: table(limits.tokenRate, TokenID.self)))
  }

  func open(_ peer: IPAddress?) throws(Refusal) {
    try state.withLock { state throws(Refusal) in try state.connections.open(peer) }
  }

  func close(_ peer: IPAddress?) { state.withLock { $0.connections.close(peer) } }

  /// How many are open.
  var connections: Int { state.withLock { $0.connections.total } }

  /// One request of an address. This machine's own are not bounded: a proxy there speaks for many.
  func spend(from peer: IPAddress?, at now: MonotonicTime) throws(Refusal) {
    guard let peer, !peer.isLoopback else { return }
    guard let wait = state.withLock({ $0.addresses?.spend(of: peer.network, at: now) }) else {
      return
    }
    throw Refusal(
      .addressRate, "Your address sends more than it may.", retryAfter: Self.seconds(wait))
  }

  /// Requests or messages of a token.
  func spend(_ count: Int = 1, of token: TokenID, at now: MonotonicTime) throws(Refusal) {
    guard let wait = state.withLock({ $0.tokens?.spend(count, of: token, at: now) }) else { return }
    throw Refusal(.tokenRate, "The token sends more than it may.", retryAfter: Self.seconds(wait))
  }

  /// Whole seconds, rounded up (RFC 9110, section 10.2.3): who comes after them is let in.
  private static func seconds(_ nanoseconds: Int64) -> Int {
    Int((nanoseconds - 1) / 1_000_000_000) + 1
  }
}

/// How often each cause was a reason to refuse. Any thread.
public final class RefusalCounts: Sendable {
  private let counts = Mutex<[Refusal.Cause: Int]>([:])

  init() {}

  func note(_ cause: Refusal.Cause) { counts.withLock { $0[cause, default: 0] += 1 } }

  /// So often, since the host started; causes that never were are not there.
  public var all: [Refusal.Cause: Int] { counts.withLock { $0 } }
}
