import Logging
import Metrics
import ServiceLifecycle
import TriggerHost
import TriggerRuntime

/// What commands of a host's owner talk to while the host runs: all routes of a `HostServer`, on a socket that belongs to the
/// data directory. Nobody needs a token there, and the host does nothing for anybody but the user whom it runs as, and root.
/// It needs no address and no configuration.
///
/// In a `ServiceGroup` it stands behind its host. While a program runs that has none, `trigger-host dead requeue` and its like
/// refuse to act on its data directory; nothing else is missing.
public final class HostSocket: Service {
  private let server: HostServer
  private let bound: Duration

  /// Nil for a host without a data directory.
  ///
  /// - Parameter logger: gets defects of the server; nil: nobody does.
  /// - Throws: as `HostServer.init` does.
  public init?(_ host: RunningHost, logger: Logger? = nil) throws {
    guard let data = host.storage?.directory.path, let name = OwnerSocket.name(data: data) else { return nil }
    var options = ServerOptions()
    options.socket = name
    options.logger = logger
    // What counts who comes in counts those who come over the network.
    options.metrics = NOOPMetricsHandler.instance
    bound = options.stopTimeout
    server = try HostServer(host, options)
  }

  /// Answers until the service group shuts down, the task is cancelled, or somebody calls `stop`. Once.
  ///
  /// - Throws: `CannotListen`.
  public func run() async throws { try await server.run() }

  /// Suspends until it listens.
  ///
  /// - Throws: `CannotListen`.
  public func listening() async throws { _ = try await server.listening() }

  /// Gives the answers that are under way, and takes no other. Safe before `run`, and twice.
  public func stop() async { await server.stop() }

  /// As above, for a thread of one's own.
  package func stopAndWait() { server.stopAndWait(within: bound) }
}
