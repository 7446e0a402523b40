import HostConfig
import Logging

/// Where a `HostServer` listens, and what it takes.
public struct ServerOptions: Sendable {
  /// What bounds requests and connections. What is beyond is refused with a problem document.
  public struct Limits: Sendable, Hashable {
    /// Bytes of a body that is one value, or of one line of a body of lines: 413.
    public var body = 1 << 20
    /// Bytes of a head, the request line included: 431.
    public var head = 32 << 10
    /// Fields of a head: 431.
    public var headFields = 100
    /// From the first byte of a head to its last: 408.
    public var headTime = Duration.seconds(10)
    /// Between two pieces of a body, while the server wants the next: 408.
    public var bodyTime = Duration.seconds(30)
    /// Between two requests of a connection, before it is closed.
    public var idleTime = Duration.seconds(75)
    /// Connections at once; more wait in the system's queue. Fewer where the system allows the process fewer
    /// descriptors.
    public var connections = 10_000
    /// Lines of one body that are not answered, or whose answers are not read, before no more of it is read.
    public var unanswered = 10_000

    /// As said above.
    public init() {}
  }

  /// A name or an address, an IPv6 address without brackets.
  public var host = "127.0.0.1"
  /// 0: any that is free; `HostServer.listening` says which.
  public var port = 0
  /// Names beside the address that requests may give as `Host`, without ports: those of a proxy in front, for one. While
  /// there is none, a server on an address that others reach takes any.
  public var hostNames: Set<String> = []
  /// Origins of pages of other sites that may send events, like `https://example.org`.
  public var origins: Set<String> = []
  /// Who may do what.
  public var access: any AccessControl = OpenAccess()
  /// Listens where others reach it though nobody is asked who they are.
  public var isInsecure = false
  /// What bounds requests and connections.
  public var limits = Limits()
  /// How long answers that are under way may take when the server stops.
  public var stopTimeout = Duration.seconds(5)
  /// What the server itself says: defects, mostly. Nil: nothing.
  public var logger: Logger?

  /// Loopback, any free port.
  public init() {}

  /// - Throws: `NotOpenToOthers`.
  package func check() throws {
    let address = ListenAddress(host: host, port: port)
    if !address.isLoopback, !access.knowsCallers, !isInsecure {
      throw NotOpenToOthers(address: "\(address)")
    }
  }
}

/// A server would listen where others reach it, and nobody would be asked who they are.
public struct NotOpenToOthers: Error, Sendable, CustomStringConvertible {
  /// Where it would listen.
  public let address: String
  /// What is wrong, and what to do.
  public var description: String {
    "\(address) is open to others, and there are no tokens: listen on 127.0.0.1, make a token, or say --insecure"
  }
}
