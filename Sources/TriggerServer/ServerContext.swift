import Hummingbird
import NIOCore

/// What a route of a `HostServer` is told of a request, beside the request.
public struct ServerContext: RequestContext {
  /// Hummingbird's own.
  public var coreContext: CoreRequestContextStorage
  /// Who asks. Set before any middleware or route runs.
  public internal(set) var caller = Caller.nobody
  /// Where the connection comes from; nil when the system does not know.
  public let remoteAddress: SocketAddress?
  /// The connection; nil where no server listens, as in tests of a router.
  let channel: (any Channel)?

  /// Made for each request.
  public init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    channel = source.channel
    remoteAddress = source.channel.remoteAddress
  }
}
