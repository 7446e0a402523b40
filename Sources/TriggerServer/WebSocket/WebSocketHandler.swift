import NIOCore
import NIOWebSocket

/// One WebSocket, behind the frame decoder and encoder: messages of its client go to its conversation, and what the
/// conversation sends goes out. It lives on its event loop.
///
/// It reads only while both can go on: not while the conversation has paused it, and not while its own answers do not drain.
final class WebSocketHandler: ChannelDuplexHandler {
  typealias InboundIn = WebSocketFrame
  typealias OutboundIn = Never
  typealias OutboundOut = WebSocketFrame

  /// How long a client may take to answer a Close frame, and to read it.
  static let closeTime = TimeAmount.seconds(2)

  private enum Phase {
    case open
    /// Our Close frame is on its way; the client's is awaited, and ends it.
    case closing
    /// Both are said, or the client broke the rules: nothing that comes means anything.
    case deaf
    case over
  }

  private var conversation: (any WebSocketConversation)?
  private var outlet: WebSocketOutlet?
  /// Whether its caller would still be let in.
  private let mayStay: @Sendable () -> Bool
  private var context: ChannelHandlerContext?
  private var phase = Phase.open
  private var reader: FrameReader
  private var silence: SilenceClock
  private var timer: Scheduled<Void>?
  private var isPaused = false
  private var needsFlush = false
  /// The task that answered HTTP on this connection has let go of it.
  private var isLeftByHTTP = false

  init(
    _ conversation: any WebSocketConversation, _ limits: ServerLimits, mayStay: @escaping @Sendable () -> Bool
  ) {
    self.conversation = conversation
    self.mayStay = mayStay
    reader = FrameReader(limit: limits.messageBytes)
    silence = SilenceClock(bound: TimeAmount(limits.pingTime), now: .now())
  }

  /// The client knows that this is a WebSocket now.
  func open() -> WebSocketOutlet? {
    guard let context, let conversation else { return nil }
    let outlet = WebSocketOutlet(self, context.eventLoop)
    self.outlet = outlet
    look(context)
    // What is behind this handler answered HTTP; for that, the connection has ended.
    context.fireChannelInactive()
    conversation.opened(outlet)
    readOn(context)
    return outlet
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { end() }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  // MARK: In

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    guard phase == .open || phase == .closing else { return }
    do throws(ClosingWord) { try handle(reader.read(frame), context) } catch { fail(error, context) }
  }

  private func handle(_ meaning: FrameReader.Meaning, _ context: ChannelHandlerContext) {
    switch meaning {
    case .nothing: break
    case .text(let message): if phase == .open { conversation?.text(message) }
    case .ping(let body): if phase == .open { write(.pong, body, context) }
    case .close(let code):
      let isAnswer = phase == .closing
      outlet?.takeOver()
      phase = .deaf
      endConversation()
      // RFC 6455, section 7.1.1: the server closes first.
      if isAnswer { return context.close(promise: nil) }
      sayLast(code.map { ClosingWord($0, "").body } ?? ByteBuffer(), context) { $0.close(promise: nil) }
      closeSoon(context)
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    silence.heard(at: .now())
    if needsFlush { flushNow(context) }
    readOn(context)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error {
    case NIOWebSocketError.invalidFrameLength:
      fail(ClosingWord(.messageTooLarge, "the message is too long"), context)
    case is NIOWebSocketError:
      fail(ClosingWord(.protocolError, "a control frame has at most 125 bytes, and no fragments"), context)
    // The decoder does not read on behind what it has refused.
    case is ByteToMessageDecoderError: break
    default: context.close(promise: nil)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is ChannelShouldQuiesceEvent {
      outlet?.takeOver()
      return close(ClosingWord(.goingAway, "the host ends"))
    }
    context.fireUserInboundEventTriggered(event)
  }

  // MARK: Out

  /// On the event loop.
  func send(_ messages: [ByteBuffer]) {
    guard let outlet else { return }
    let bytes = messages.reduce(0) { $0 + $1.readableBytes }
    guard phase == .open, let context else { return outlet.wrote(bytes) }
    let taken = context.eventLoop.makePromise(of: Void.self)
    taken.futureResult.whenComplete { _ in outlet.wrote(bytes) }
    if messages.count == 1 {
      write(.text, messages[0], context, taken)
    } else {
      writeTogether(messages, bytes, context, taken)
    }
    flushNow(context)
  }

  /// Text messages as one piece for the socket. NIO's encoder makes two of each message, and a client that sends without
  /// waiting gets hundreds of short answers at a time.
  private func writeTogether(
    _ messages: [ByteBuffer], _ bytes: Int, _ context: ChannelHandlerContext,
    _ taken: EventLoopPromise<Void>
  ) {
    guard
      let encoder = try? context.pipeline.syncOperations.context(handlerType: WebSocketFrameEncoder.self)
    else { return taken.fail(ChannelError.ioOnClosedChannel) }
    var frames = context.channel.allocator.buffer(capacity: bytes + 4 * messages.count)
    for message in messages { frames.writeFrame(text: message) }
    encoder.write(NIOAny(frames), promise: taken)
    needsFlush = true
  }

  /// On the event loop. The first word counts.
  func close(_ word: ClosingWord) {
    guard phase == .open, let context else { return }
    phase = .closing
    write(.connectionClose, word.body, context)
    flushNow(context)
    endConversation()
    closeSoon(context)
    readOn(context)
  }

  /// The client broke the rules: it is told how, and not listened to any more.
  private func fail(_ word: ClosingWord, _ context: ChannelHandlerContext) {
    guard phase == .open || phase == .closing else { return }
    if phase == .closing { return context.close(promise: nil) }
    outlet?.takeOver()
    phase = .deaf
    endConversation()
    // Closed at once with bytes of the client unread, the system would take our word back (RFC 1122, section 4.2.2.13).
    sayLast(word.body, context) { $0.close(mode: .output, promise: nil) }
    closeSoon(context)
  }

  /// A Close frame, and what to do when it has been taken.
  private func sayLast(
    _ body: ByteBuffer, _ context: ChannelHandlerContext,
    then: @escaping @Sendable (ChannelHandlerContext) -> Void
  ) {
    let bound = bound(context)
    let taken = context.eventLoop.makePromise(of: Void.self)
    taken.futureResult.whenComplete { _ in then(bound.value.1) }
    write(.connectionClose, body, context, taken)
    flushNow(context)
  }

  /// Whatever the client does.
  private func closeSoon(_ context: ChannelHandlerContext) {
    timer?.cancel()
    timer = context.eventLoop.scheduleTask(in: Self.closeTime) { [bound = bound(context)] in
      bound.value.1.close(promise: nil)
    }
  }

  private func write(
    _ opcode: WebSocketOpcode, _ body: ByteBuffer, _ context: ChannelHandlerContext,
    _ taken: EventLoopPromise<Void>? = nil
  ) {
    context.write(wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, data: body)), promise: taken)
    needsFlush = true
  }

  private func flushNow(_ context: ChannelHandlerContext) {
    needsFlush = false
    context.flush()
  }

  // MARK: The end

  private func endConversation() {
    outlet?.end()
    outlet = nil
    let ended = conversation
    conversation = nil
    ended?.ended()
    // What answers the last word is read in any case.
    isPaused = false
  }

  private func end() {
    if phase == .over { return }
    phase = .over
    timer?.cancel()
    timer = nil
    endConversation()
    context = nil
  }

  /// The first time it is the task that answered HTTP, which closes what it has left: the connection goes on.
  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    if mode == .all, isLeftByHTTP { return context.close(promise: promise) }
    if mode == .all { isLeftByHTTP = true }
    promise?.succeed()
  }

  // MARK: Reading

  /// Nothing is read while the client takes no answers: pings cost it as much as they cost the host.
  private func readOn(_ context: ChannelHandlerContext) {
    if phase == .deaf || !isPaused && context.channel.isWritable { context.read() }
  }

  /// Who is behind this handler does not read any more.
  func read(context: ChannelHandlerContext) {}

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable {
      silence.heard(at: .now())
      readOn(context)
    }
    context.fireChannelWritabilityChanged()
  }

  func pause() { isPaused = true }

  func resume() {
    guard isPaused, let context else { return }
    isPaused = false
    silence.heard(at: .now())
    readOn(context)
  }

  // MARK: Time

  private func bound(
    _ context: ChannelHandlerContext
  ) -> NIOLoopBound<(WebSocketHandler, ChannelHandlerContext)> {
    NIOLoopBound((self, context), eventLoop: context.eventLoop)
  }

  private func look(_ context: ChannelHandlerContext) {
    guard phase == .open else { return }
    guard mayStay() else { return close(ClosingWord(.policyViolation, "the token does not count any more")) }
    let now = NIODeadline.now()
    // Whoever is not read cannot be heard.
    if isPaused { silence.heard(at: now) }
    let next: NIODeadline
    switch silence.look(at: now) {
    case .dead: return close(ClosingWord(.policyViolation, "nothing came, not even an answer to a ping"))
    case .wait(let deadline): next = deadline
    case .ping(let deadline):
      write(.ping, ByteBuffer(), context)
      flushNow(context)
      next = deadline
    }
    timer = context.eventLoop.scheduleTask(deadline: next) { [bound = bound(context)] in
      let (handler, context) = bound.value
      handler.look(context)
    }
  }
}

extension ByteBuffer {
  /// A whole text message of a server: not masked, no fragments (RFC 6455, section 5.2).
  mutating func writeFrame(text: ByteBuffer) {
    let count = text.readableBytes
    writeInteger(UInt8(0x81))
    switch count {
    case ..<126: writeInteger(UInt8(count))
    case ...0xffff:
      writeInteger(UInt8(126))
      writeInteger(UInt16(count))
    default:
      writeInteger(UInt8(127))
      writeInteger(UInt64(count))
    }
    writeImmutableBuffer(text)
  }
}
