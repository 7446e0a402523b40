import Foundation
import HostConfig
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import TriggerHost
import TriggerRuntime

/// A running host on the network: events come in by HTTP, and everything that is known of the host can be read.
///
/// ```swift
/// let host = try await OpenedHost(HostPlaces(directory: "market")).recover().start()
/// var options = ServerOptions()
/// options.port = 8080
/// let server = try HostServer(host, options) { router in
///   router.get("hello") { _, context in "hello, \(context.caller.name)" }
/// }
/// try await ServiceGroup(services: [host, server], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// In a `ServiceGroup` it stands behind its host: services stop in the opposite order, so answers that are under way can
/// still be given. The page `HTTP.md` describes what it answers.
public final class HostServer: Service {
  private enum State {
    case made
    case running(ServiceGroup)
    /// Somebody has stopped it, perhaps before it ran.
    case over
  }

  private let options: ServerOptions
  private let host: RunningHost
  private let responder: ServerResponder
  /// Who may come in, and what was refused.
  public let access: AccessControl
  private let tokens: TokenStore?
  let connections = Connections()
  private let waiting: Waiting
  private let reader: HostReader
  private let logger: Logger
  private let state = Mutex(State.made)
  private let address = Once<Result<ListenAddress, CannotListen>>()
  private let ended = Once<Void>()

  /// What its routes are, for who describes them.
  package var routes: [(method: String, path: String)] {
    responder.endpoints.all.map { ($0.method.rawValue, $0.path) }
  }

  /// What its routes read with, for tests.
  var logReader: HostReader { reader }

  /// Answers that wait for what has not happened yet.
  var streamCount: Int { reader.streams.count }

  /// - Parameters:
  ///   - host: must run, and be stopped after the server.
  ///   - routes: adds routes and middleware of the program's own, behind those of the server; middleware is run for the
  ///     routes of the program alone. A path that the server has stays the server's.
  /// - Throws: `AccessError` when others reach the address and nobody would be asked who they are, or the tokens cannot be
  ///   read. Blocks for the time that the disk takes.
  public convenience init(
    _ host: RunningHost, _ options: ServerOptions = ServerOptions(),
    routes: (Hummingbird.Router<ServerContext>) -> Void = { _ in }
  ) throws {
    try self.init(host, options, conversations: nil, routes: routes)
  }

  /// - Parameter conversations: what is said on WebSockets; nil: there are none.
  init(
    _ host: RunningHost, _ options: ServerOptions, conversations: MakeConversation?,
    routes: (Hummingbird.Router<ServerContext>) -> Void
  ) throws {
    (access, tokens) = try options.access()
    (self.host, self.options) = (host, options)
    waiting = Waiting()
    reader = HostReader(host, heartbeat: options.heartbeat)
    logger = options.logger ?? Logger(label: "server") { _ in SwiftLogNoOpLogHandler() }
    var all = HostEndpoints(
      host, access, waiting, reader, isEncrypted: options.certificate != nil
    ).all
    let make =
      conversations
      ?? host.sessions.map { [access] in SessionConversation.maker($0, EventIntake(host), access) }
    if let make {
      all += WebSocketRoute(access: access, connections: connections, make: make).endpoints
    }
    all.append(OpenAPI.endpoint(of: all))
    let endpoints = EndpointTable(all)
    let router = Hummingbird.Router(context: ServerContext.self, options: [.autoGenerateHeadEndpoints])
    router.add(middleware: ProblemMiddleware(endpoints: endpoints))
    // For `HEAD`, and so that nobody else has them.
    for endpoint in endpoints.all {
      router.on(endpoint.routerPath, method: endpoint.method, use: endpoint.checked(access))
    }
    routes(router)
    responder = ServerResponder(
      routes: router.buildResponder(), access: access, isEncrypted: options.certificate != nil,
      endpoints: endpoints, connections: connections)
  }

  /// Where it listens, with the port that it got; suspends until it does.
  ///
  /// - Throws: `CannotListen`.
  public func listening() async throws -> String { "\(try await whenListening().get())" }

  /// As above, in parts. Any number may ask.
  package func whenListening() async -> Result<ListenAddress, CannotListen> {
    await address.value()
  }

  private var wanted: String { options.address }

  /// Answers requests until the service group shuts down, the task is cancelled, or somebody calls `stop`. Once.
  ///
  /// - Throws: `CannotListen`.
  public func run() async throws {
    let group = ServiceGroup(configuration: .init(services: [try application()], logger: logger))
    let isFirst = state.withLock { state in
      guard case .made = state else { return false }
      state = .running(group)
      return true
    }
    defer {
      address.tell(.failure(CannotListen(address: wanted, reason: "it was stopped")))
      ended.tell(())
    }
    if !isFirst { return }
    followFiles()
    let metrics = ServerMetrics(access, factory: options.metrics)
    let writing = Task { await metrics.run() }
    defer {
      writing.cancel()
      reader.close()
      tokens?.stop()
      options.certificate?.stop()
    }
    do {
      try await withGracefulShutdownHandler {
        try await group.run()
      } onGracefulShutdown: {
        self.beginEnd()
      }
    } catch {
      let failure = CannotListen(address: wanted, error)
      address.tell(.failure(failure))
      throw failure
    }
  }

  /// A token that is taken back, or a certificate that is renewed, counts at once.
  private func followFiles() {
    tokens?.start { [logger, access, connections] change in
      switch change {
      case .problem(let text): logger.error("\(text)")
      case .lost, .first: connections.closeThose { !access.stillCounts($0) }
      }
    }
    options.certificate?.start { [logger] problem in
      if let problem {
        logger.error("\(problem)")
      } else {
        logger.info("The certificate has changed and is used from now on.")
      }
    }
  }

  private var server: HTTPServerBuilder {
    get throws {
      let server = HTTPServerBuilder.guarded(access, connections)
      guard let certificate = options.certificate else { return server }
      return try .tls(server, tlsConfiguration: certificate.configuration())
    }
  }

  private func application() throws -> Application<ServerResponder> {
    let limits = access.limits
    var configuration = ApplicationConfiguration(
      address: options.socket.map { .unixDomainSocket(path: $0) }
        ?? .hostname(options.host, port: options.port),
      availableConnectionsDelegate: MaximumAvailableConnections(
        Connections.most(limits.connections), logger: logger))
    configuration.serverName = nil
    return Application(
      responder: responder, server: try server, configuration: configuration,
      onServerRunning: { [address, options] channel in
        // Who comes while a crowd comes has been accepted soon, however busy the loops are with that.
        try? await channel.setOption(.maxMessagesPerRead, value: 128).get()
        let port = channel.localAddress?.port ?? options.port
        address.tell(.success(ListenAddress(host: options.host, port: port)))
      }, logger: logger)
  }

  // MARK: The end

  /// Takes no new connections, gives the answers that are under way, for `ServerOptions.stopTimeout` at most, ends those
  /// that have no end, and closes. Returns when that is done; safe before `run`, and twice.
  public func stop() async {
    beginEnd()
    if isRunning { await ended.value() }
  }

  /// As above, for a thread of one's own; returns when the time is up, too.
  package func stopAndWait(within bound: Duration) {
    let isOver = DispatchSemaphore(value: 0)
    Task {
      await stop()
      isOver.signal()
    }
    _ = isOver.wait(timeout: .now() + (bound + .seconds(2)) / .seconds(1))
  }

  private var isRunning: Bool {
    state.withLock { if case .running = $0 { true } else { false } }
  }

  /// As above. Returns at once.
  package func beginEnd() {
    let group: ServiceGroup? = state.withLock { state in
      if case .running(let group) = state { return group }
      state = .over
      return nil
    }
    guard let group else { return }
    reader.endStreams()
    Task { [self] in
      await group.triggerGracefulShutdown()
      await endWaiting()
      connections.closeAll()
    }
  }

  /// Answers that will never come are not waited for: those of events that wait in a queue that has stopped.
  private func endWaiting() async {
    let isIdle = host.queue.isStopped && host.coordinator.stats.undecided == 0
    // What is decided is told by now, or within a moment.
    await untilNone(atMost: isIdle ? .milliseconds(50) : options.stopTimeout)
    waiting.endAll()
    await untilNone(atMost: .seconds(1))
  }

  /// Until no connection is open, or the time is up.
  private func untilNone(atMost time: Duration) async {
    let isOver = Once<Void>()
    Task { [connections] in
      await connections.untilNone()
      isOver.tell(())
    }
    let end = Task {
      try? await Task.sleep(for: time)
      isOver.tell(())
    }
    await isOver.value()
    end.cancel()
  }
}

/// A server cannot listen at its address.
public struct CannotListen: Error, Sendable, CustomStringConvertible {
  /// Where it would listen.
  public let address: String
  /// Why not.
  public let reason: String
  /// `cannot listen on 127.0.0.1:80: permission denied`.
  public var description: String { "cannot listen on \(address): \(reason)" }

  init(address: String, reason: String) { (self.address, self.reason) = (address, reason) }

  init(address: String, _ error: any Error) {
    self.init(
      address: address,
      reason: (error as? IOError).map { String(cString: strerror($0.errnoCode)).lowercased() }
        ?? "\(error)")
  }
}

extension Endpoint {
  /// The handler, behind the question whether the caller may.
  func checked(_ access: AccessControl) -> Handler {
    { [right, handler] request, context in
      switch right {
      case .read: try access.check(context.caller, may: .read)
      case .act: try access.check(context.caller, may: .act)
      case .open, .send: break
      }
      return try await handler(request, context)
    }
  }
}

extension HTTPServerBuilder {
  /// HTTP/1.1, with what guards a connection.
  static func guarded(_ access: AccessControl, _ connections: Connections) -> HTTPServerBuilder {
    HTTPServerBuilder { responder in
      GuardedChannel(http: HTTP1Channel(responder: responder), access: access, connections: connections)
    }
  }
}

/// Hummingbird's channel, whose connections are known to the server.
struct GuardedChannel: ServerChildChannel {
  typealias Value = HTTP1Channel.Value
  let http: HTTP1Channel
  let access: AccessControl
  let connections: Connections

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    let peer = channel.remoteAddress.flatMap { IPAddress($0) }
    do { try access.opened(from: peer) } catch {
      // Nothing was asked, so there is nothing to answer.
      channel.close(promise: nil)
      return channel.eventLoop.makeFailedFuture(error)
    }
    channel.closeFuture.whenComplete { [access] _ in access.closed(from: peer) }
    connections.add(channel)
    return channel.eventLoop.makeCompletedFuture {
      try channel.pipeline.syncOperations.addHTTP(access, connections, logger)
      return try Value(
        wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
    }
  }

  /// On the connection's event loop, in its turn.
  func handle(value: Value, logger: Logger) async {
    let turns = connections.turns(of: value.channel)
    await withTaskExecutorPreference(turns) { await http.handle(value: value, logger: logger) }
  }
}
