import NIOCore
import TriggerHost

/// Stands before the HTTP decoder of a connection: what has come is decoded when it is the connection's turn, a little at
/// a time, and of a next request nothing before the one before is answered. So the bytes of who sends many requests at
/// once wait, and not the event loop of all others.
final class ConnectionIntake: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer

  /// What is decoded at once between two requests: a few heads. Of a body, all that has come.
  private static let piece = 1 << 10
  /// Bytes that are taken after the last answer.
  private static let mostDropped = 1 << 20
  /// A read takes no more than this from the socket.
  private static let most = 16 << 10

  /// Knows what is being read; nil when the connection does not speak HTTP any more.
  var owner: ConnectionGuard?
  private let connections: Connections
  private var turns: ConnectionTurns?
  private var context: ChannelHandlerContext?
  private var bytes = ByteBuffer()
  /// Who decodes wants more.
  private var isAsked = false
  /// The connection will have a turn.
  private var isPlanned = false
  /// What the client has ended, and who decodes does not know.
  private var end: ChannelEvent?
  /// Nothing is decoded any more.
  private var isOver = false
  /// Bytes that were dropped.
  private var dropped = 0

  init(_ connections: Connections) { self.connections = connections }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    turns = connections.turns(of: context.channel)
    let options = context.channel.syncOptions
    try? options?.setOption(.maxMessagesPerRead, value: 1)
    try? options?.setOption(
      .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 2048, maximum: Self.most)
    )
  }

  func handlerRemoved(context: ChannelHandlerContext) { (self.context, turns) = (nil, nil) }

  // MARK: In

  func read(context: ChannelHandlerContext) {
    isAsked = true
    if bytes.readableBytes > 0 { readOn() } else { context.read() }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var piece = unwrapInboundIn(data)
    if isOver { return dropped += piece.readableBytes }
    if bytes.readableBytes > 0 { bytes.writeBuffer(&piece) } else { bytes = piece }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    if !isOver { readOn() } else if dropped < Self.mostDropped { context.read() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case let event as ChannelEvent = event, event == .inputClosed, bytes.readableBytes > 0 else {
      return context.fireUserInboundEventTriggered(event)
    }
    end = event
  }

  // MARK: Turns

  /// A request has come: what it takes is as urgent as it says, until the next.
  func requestCame(_ priority: Priority) { turns?.priority = priority }

  /// Decodes what waits, when it may be and in the connection's turn.
  func readOn() {
    guard !isPlanned, isAsked, bytes.readableBytes > 0, owner?.mayReadOn ?? true, let context else { return }
    guard let turns else { return decode() }
    isPlanned = true
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    turns.perform { bound.value.decode() }
  }

  private func decode() {
    isPlanned = false
    guard let context else { return }
    owner?.bytesCame()
    while isAsked, owner?.mayReadOn ?? true, let piece = next() {
      isAsked = false
      context.fireChannelRead(wrapInboundOut(piece))
      context.fireChannelReadComplete()
      // What the channel itself does after a read of its own. A WebSocket says itself when it can take more.
      if (try? context.channel.syncOptions?.getOption(.autoRead)) == true { context.channel.read() }
    }
    if let end, bytes.readableBytes == 0 {
      self.end = nil
      context.fireUserInboundEventTriggered(end)
    }
  }

  private func next() -> ByteBuffer? {
    let count = bytes.readableBytes
    if count == 0 { return nil }
    return bytes.readSlice(length: owner?.isBetweenRequests == true ? min(count, Self.piece) : count)
  }

  /// From now on bytes are taken and dropped: closing a socket that holds some would take the last answer from the client
  /// with them (RFC 9112, section 9.6).
  func drop() {
    isOver = true
    bytes = ByteBuffer()
    context?.read()
  }
}
