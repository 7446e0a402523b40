import HostConfig
import TriggerCore

/// How much may come in over the network. Each limit bounds what one caller costs the others.
public struct ServerLimits: Hashable, Sendable {
  /// Open connections in all.
  public var connections = 20_000
  /// Open connections of one address, IPv6 by /64; this machine's own are not bounded.
  public var addressConnections = 256
  /// Bytes of the head of a request: method, path, names and values of fields.
  public var headerBytes = 32 << 10
  /// Fields in the head of a request.
  public var headerFields = 100
  /// From the first byte of a request to the end of its head.
  public var headerTime = Duration.seconds(10)
  /// Bytes of the body of a request, or of one line of a body of lines.
  public var bodyBytes = 1 << 20
  /// How long the host waits for more of a body.
  public var bodyTime = Duration.seconds(30)
  /// How long a connection may be open between two requests.
  public var idleTime = Duration.seconds(120)
  /// Bytes of one message on a WebSocket, whatever its fragments.
  public var messageBytes = 1 << 20
  /// How long nothing may come on a WebSocket before the host asks with a ping, and how long it then waits.
  public var pingTime = Duration.seconds(30)
  /// Requests and messages a second of one token; nil: any number.
  public var tokenRate: Int?
  /// Requests a second of one address, IPv6 by /64; nil: any number. This machine's own are not bounded.
  public var addressRate: Int? = 2_000
  /// For how many seconds of a rate somebody may send at once who has sent little.
  public var burst = 2
  /// Lines of one body that are not answered, or whose answers are not read, before no more of it is read.
  public var unanswered = 10_000
  /// Callers whose rate is remembered at once.
  public var rememberedCallers = 65_536

  /// The usual limits.
  public init() {}

  /// What a host's configuration says.
  package init(_ limits: HostConfig.ServerLimits) {
    connections = limits.connections
    addressConnections = limits.addressConnections
    headerBytes = limits.header
    headerTime = limits.headerTime
    bodyBytes = limits.body
    bodyTime = limits.bodyTime
    idleTime = limits.idleTime
    messageBytes = limits.message
    pingTime = limits.pingTime
    tokenRate = limits.tokenRate
    addressRate = limits.addressRate
  }
}

/// What a host's configuration says about who may come in, and how much of it.
public struct AccessSettings: Hashable, Sendable {
  /// Names under which the host is reached, beside IP addresses and `localhost`, without ports.
  public var hostNames: [String] = []
  /// Pages of these origins may use the host with a token of their own, such as `https://app.example.org`.
  public var origins: [String] = []
  /// How much may come in.
  public var limits = ServerLimits()

  /// Nothing but the usual limits.
  public init() {}

  /// What a host's configuration says.
  package init(_ config: HostConfig) {
    hostNames = config.hostNames
    origins = config.cors.map(\.description)
    limits = ServerLimits(config.serverLimits)
  }
}
