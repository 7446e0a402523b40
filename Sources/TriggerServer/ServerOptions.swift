import HostConfig
import Logging
import Metrics
import TriggerHost

/// Where a `HostServer` listens, and what it takes.
public struct ServerOptions: Sendable {
  /// A name or an address, an IPv6 address without brackets.
  public var host = "127.0.0.1"
  /// 0: any that is free; `HostServer.listening` says which.
  public var port = 0
  /// Names, origins of pages and limits. What is beyond a limit is refused with a problem document.
  public var settings = AccessSettings()
  /// Where tokens are kept; nil: there are none.
  public var tokens: TokenFiles?
  /// What the server encrypts with; nil: it does not.
  public var certificate: ServerCertificate?
  /// Listens where others reach it though there is no token.
  public var isInsecure = false
  /// The clock of rates, cookies and the ends of tokens.
  public var clock: any EngineClock = SystemClock()
  /// How long answers that are under way may take when the server stops.
  public var stopTimeout = Duration.seconds(5)
  /// Where what the server counts goes (`ServerMetrics` names it); nil: where `MetricsSystem` says when the server is made.
  public var metrics: (any MetricsFactory)?
  /// What the server itself says: defects, mostly. Nil: nothing.
  public var logger: Logger?

  /// The name of a Unix domain socket on which it listens, in place of host and port; its owner may do everything
  /// (`OwnerSocket`). For `HostSocket`.
  var socket: String?

  /// How often a stream of events says that it is still there.
  var heartbeat = Duration.seconds(15)

  /// Where it listens, for messages.
  var address: String {
    socket.map { String($0.drop { $0 == "\0" }) } ?? "\(ListenAddress(host: host, port: port))"
  }

  /// Who comes in, once that is decided.
  private var decided: (control: AccessControl, tokens: TokenStore?)?

  /// Loopback, any free port.
  public init() {}

  /// Who comes in: decided before anything listens. Reads the tokens, and blocks for the time that the disk takes.
  ///
  /// - Throws: `AccessError` when others reach the address and nobody would be asked who they are.
  func access() throws(AccessError) -> (control: AccessControl, tokens: TokenStore?) {
    if let decided { return decided }
    if socket != nil {
      return (try AccessControl(.owner, tokens: nil, settings: settings, clock: clock), nil)
    }
    var store: TokenStore?
    if let tokens { store = try TokenStore(tokens) }
    let rule = try StartRule.decide(
      address: host, hasTokens: store?.hasTokens ?? false, isInsecure: isInsecure)
    return (try AccessControl(rule, tokens: store, settings: settings, clock: clock), store)
  }

  /// Decides who comes in before a host is opened: a server with these options then asks nobody again. Nothing may be
  /// changed afterwards.
  ///
  /// - Returns: what its owner should know before it listens; nil when there is nothing.
  /// - Throws: as `HostServer.init` does.
  package mutating func decide() throws -> String? {
    let access = try access()
    decided = access
    return access.control.rule.warning(
      address: address, hasTLS: certificate != nil)
  }
}
