import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1
import NIOWebSocket

/// Makes a WebSocket of a connection that answers HTTP, with NIO's own upgrade. It is put into the pipeline only when all
/// is decided: it loses the head of a request that it does not upgrade.
struct WebSocketUpgrade: Sendable {
  let handshake: WebSocketHandshake
  let limits: ServerLimits
  let mayStay: @Sendable () -> Bool
  /// Called on the event loop.
  let make: @Sendable () throws -> any WebSocketConversation

  /// Gives the answer and begins the conversation. What the client has sent behind its handshake is not lost.
  ///
  /// - Throws: what `make` throws, `ChannelError` when the connection has ended; it answers HTTP then.
  func begin(on channel: any Channel) async throws -> WebSocketOutlet? {
    let opened = channel.eventLoop.makePromise(of: WebSocketOutlet?.self)
    channel.closeFuture.whenComplete { _ in opened.fail(ChannelError.ioOnClosedChannel) }
    channel.eventLoop.execute {
      do { try start(on: channel, opened) } catch { opened.fail(error) }
    }
    return try await opened.futureResult.get()
  }

  private func start(on channel: any Channel, _ opened: EventLoopPromise<WebSocketOutlet?>) throws {
    guard channel.isActive else { throw ChannelError.ioOnClosedChannel }
    let pipeline = channel.pipeline.syncOperations
    let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
    let guardian = try pipeline.handler(type: ConnectionGuard.self)
    guard !guardian.isHalfClosed else {
      throw Problem(.badRequest, "the client has closed its side of the connection")
    }
    let rest: [any RemovableChannelHandler] = [
      try pipeline.handler(type: HTTP1ToHTTPServerCodec.self), guardian,
      try pipeline.handler(type: HTTPConnectionStateHandler.self),
    ]
    let encoder = try pipeline.handler(type: HTTPResponseEncoder.self)
    let socket = WebSocketHandler(try make(), limits, mayStay: mayStay)
    let upgrade = HTTPServerUpgradeHandler(
      upgraders: [Upgrader(socket, limits, subprotocol: handshake.subprotocol, opened)],
      httpEncoder: encoder, extraHTTPHandlers: [decoder] + rest, upgradeCompletionHandler: { _ in })
    try pipeline.addHandler(upgrade, position: .after(decoder))
    // From now on a client that ends its side has ended the conversation.
    try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
    let context = try pipeline.context(handler: upgrade)
    upgrade.channelRead(context: context, data: NIOAny(HTTPServerRequestPart.head(head)))
    upgrade.channelRead(context: context, data: NIOAny(HTTPServerRequestPart.end(nil)))
  }

  /// What of the request NIO looks at.
  private var head: HTTPRequestHead {
    HTTPRequestHead(
      version: .http1_1, method: .GET, uri: WebSocketHandshake.path,
      headers: [
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": handshake.key,
      ])
  }
}

private final class Upgrader: HTTPServerProtocolUpgrader {
  let supportedProtocol = "websocket"
  let requiredUpgradeHeaders: [String] = []
  private let socket: WebSocketHandler
  private let limits: ServerLimits
  private let opened: EventLoopPromise<WebSocketOutlet?>
  private let answer: NIOWebSocketServerUpgrader

  init(
    _ socket: WebSocketHandler, _ limits: ServerLimits, subprotocol: String?,
    _ opened: EventLoopPromise<WebSocketOutlet?>
  ) {
    (self.socket, self.limits, self.opened) = (socket, limits, opened)
    var fields = HTTPHeaders()
    if let subprotocol { fields.add(name: "Sec-WebSocket-Protocol", value: subprotocol) }
    answer = NIOWebSocketServerUpgrader(
      shouldUpgrade: { [fields] channel, _ in channel.eventLoop.makeSucceededFuture(fields) },
      upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
  }

  func buildUpgradeResponse(
    channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
  ) -> EventLoopFuture<HTTPHeaders> {
    answer.buildUpgradeResponse(
      channel: channel, upgradeRequest: upgradeRequest, initialResponseHeaders: initialResponseHeaders)
  }

  /// Not left to NIO's, which would put the decoder of frames last: behind what answered HTTP and cannot be removed.
  func upgrade(context: ChannelHandlerContext, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<Void> {
    let result = Result<Void, any Error> {
      // The handler reads when it can go on.
      try context.channel.syncOptions?.setOption(.autoRead, value: false)
      try context.pipeline.syncOperations.addHandlers(
        [
          WebSocketFrameEncoder(),
          ByteToMessageHandler(
            WebSocketFrameDecoder(maxFrameSize: min(limits.messageBytes, Int(UInt32.max)))),
          socket,
        ], position: .after(context.handler))
      opened.succeed(socket.open())
    }
    if case .failure(let error) = result { opened.fail(error) }
    return context.eventLoop.makeCompletedFuture(result)
  }
}
