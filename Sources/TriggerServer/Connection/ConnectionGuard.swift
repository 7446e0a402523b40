import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// Stands between the HTTP decoder of a connection and who answers: gives what cannot be read, and what does not come in
/// time, the answer of a problem document, and closes connections that nobody closes.
///
/// Whoever answers says of a broken message `400` with an empty body, after the answers to those before it: that answer is
/// replaced here, where it is known what was broken.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  /// How long a client may take to close its end after ours: an answer that is under way would be lost with it.
  private static let linger = TimeAmount.seconds(2)
  /// Bytes of a body that are read after its answer has ended, before the connection is closed.
  private static let unwanted = 1 << 20

  private let limits: ServerLimits
  private let access: AccessControl
  private var clock: ConnectionClock
  private var timer: (fires: ContinuousClock.Instant, task: Scheduled<Void>)?
  /// What looks for it elsewhere in the pipeline, and goes with it.
  private var watches: [any RemovableChannelHandler] = []
  /// The client sends nothing more.
  private(set) var isHalfClosed = false
  /// What was wrong with the message that is being read; nothing is read after it.
  private var fault: Problem?
  /// The answer that says so is being written in the place of another.
  private var isReplacing = false
  /// The answer that is being written is the connection's last.
  private var isLast = false
  private var isClosing = false
  private var unwantedBytes = 0
  private var heads = HeadRules()
  private let intake: ConnectionIntake

  init(_ access: AccessControl, _ connections: Connections) {
    self.access = access
    limits = access.limits
    clock = ConnectionClock(limits, now: .now)
    intake = ConnectionIntake(connections)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    // Before the decoder, which shows no byte of a head before all of it is there.
    let pipeline = context.pipeline.syncOperations
    let bytes = ByteWatch(self)
    try? pipeline.addHandler(bytes, position: .first)
    watches = [bytes]
    if let decoder = try? pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self) {
      intake.owner = self
      try? pipeline.addHandler(intake, position: .before(decoder))
    }
    if let codec = try? pipeline.handler(type: HTTP1ToHTTPServerCodec.self) {
      let heads = HeadWatch(self)
      try? pipeline.addHandler(heads, position: .before(codec))
      watches.append(heads)
    }
    arm(context)
  }

  /// The connection has ended, or it is a WebSocket from now on.
  func handlerRemoved(context: ChannelHandlerContext) {
    timer?.task.cancel()
    for watch in watches { context.pipeline.syncOperations.removeHandler(watch, promise: nil) }
    watches = []
    intake.owner = nil
    intake.readOn()
  }

  func channelInactive(context: ChannelHandlerContext) {
    timer?.task.cancel()
    context.fireChannelInactive()
  }

  // MARK: In

  /// Of the next request nothing is read before the answer to the one before has ended: it waits where it costs next to
  /// nothing.
  var mayReadOn: Bool { clock.mayReadOn }

  /// No body is being read.
  var isBetweenRequests: Bool { !clock.isInBody }

  /// Bytes have come, or are read on.
  func bytesCame() {
    if mayReadOn { clock.bytesCame(at: .now) }
  }

  /// A head as it was sent.
  fileprivate func headCame(_ head: HTTPRequestHead) { heads.came(head) }

  func read(context: ChannelHandlerContext) {
    clock.readBegins(at: .now)
    arm(context)
    context.read()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if fault != nil { return }
    switch unwrapInboundIn(data) {
    case .head(let head):
      clock.headCame()
      if let problem = heads.came(head) { return fail(context, problem) }
      intake.requestCame(RequestPriority.of(head))
      if clock.unanswered == 1, head.headerFields[.expect]?.lowercased() == "100-continue" {
        // RFC 9110, section 10.1.1. Who is refused learns that after its body, as from any server that does not look.
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
      }
    case .body(let bytes):
      if clock.unanswered == 0 {
        unwantedBytes += bytes.readableBytes
        if unwantedBytes > Self.unwanted { return context.close(promise: nil) }
      }
    case .end:
      unwantedBytes = 0
      clock.requestEnded(at: .now)
    }
    context.fireChannelRead(data)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed = event { isHalfClosed = true }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error {
    case HTTPParserError.headerOverflow:
      let most = "\(limits.headerBytes >> 10) KiB and \(limits.headerFields) fields"
      fail(context, Problem(.headersTooLarge, "a head has at most \(most)"))
    case let error as HTTPParserError:
      fail(
        context,
        Problem(.badRequest, "the message breaks the rules of HTTP: \(error.debugDescription)"))
    // The connection is gone, or about to be.
    case is IOError, is ChannelError: context.fireErrorCaught(error)
    default:
      fail(context, Problem(.badRequest, "the method or the target of the request cannot be read"))
    }
  }

  /// Whoever answers learns that the message is broken, in its turn.
  private func fail(_ context: ChannelHandlerContext, _ problem: Problem) {
    if fault != nil { return }
    fault = problem
    context.fireErrorCaught(HTTPParserError.unknown)
  }

  // MARK: Out

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(let head):
      if let fault, head.status == .badRequest, head.headerFields[.contentLength] == "0" {
        isReplacing = true
        return write(fault, context, promise)
      }
      if head.status.kind == .informational { return context.write(data, promise: promise) }
      let endsConnection = heads.answered()
      if head.headerFields[.connection] == "close" { isLast = true }
      guard endsConnection, !isLast else { return context.write(data, promise: promise) }
      isLast = true
      var head = head
      head.headerFields[.connection] = "close"
      context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .body:
      if isReplacing { return context.eventLoop.makeSucceededVoidFuture().cascade(to: promise) }
      context.write(data, promise: promise)
    case .end:
      clock.answerEnded(at: .now)
      arm(context)
      context.write(data, promise: promise)
      if isReplacing || isLast {
        context.flush()
        close(context: context, mode: .output, promise: nil)
      }
      intake.readOn()
    }
  }

  private func write(
    _ problem: Problem, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?
  ) {
    access.note(refused: problem.code)
    let bytes = ByteBuffer(bytes: problem.document.jsonBytes)
    var fields = problem.headers
    fields[.contentType] = Problem.mediaType
    fields[.contentLength] = "\(bytes.readableBytes)"
    fields[.connection] = "close"
    context.write(
      wrapOutboundOut(.head(HTTPResponse(status: problem.status, headerFields: fields))),
      promise: nil)
    context.write(wrapOutboundOut(.body(bytes)), promise: promise)
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard mode == .output else { return context.close(mode: mode, promise: promise) }
    if isClosing { return context.eventLoop.makeSucceededVoidFuture().cascade(to: promise) }
    isClosing = true
    context.close(mode: .output, promise: promise)
    intake.drop()
    let channel = context.channel
    context.eventLoop.scheduleTask(in: Self.linger) { channel.close(promise: nil) }
  }

  // MARK: Time

  /// One timer for all that may be late: it looks again when it has fired too early.
  private func arm(_ context: ChannelHandlerContext) {
    guard !isClosing, let deadline = clock.deadline else { return }
    if let timer {
      if timer.fires <= deadline { return }
      timer.task.cancel()
    }
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    let task = context.eventLoop.scheduleTask(in: TimeAmount(max(.zero, deadline - .now))) {
      let (guardian, context) = bound.value
      guardian.look(context)
    }
    timer = (deadline, task)
  }

  private func look(_ context: ChannelHandlerContext) {
    timer = nil
    if isClosing || fault != nil { return }
    switch clock.lateness(at: .now) {
    case nil: arm(context)
    case .idle: context.close(promise: nil)
    case .request: fail(context, Problem(.requestTimeout, "the request did not come in time"))
    }
  }
}

/// Sees heads before they lose what only HTTP/1 knows.
private final class HeadWatch: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart

  private let guardian: ConnectionGuard

  init(_ guardian: ConnectionGuard) { self.guardian = guardian }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head(var head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
    guardian.headCame(head)
    // RFC 9110, section 7.8.
    if head.version.minor == 0 { head.headers.remove(name: "Upgrade") }
    context.fireChannelRead(wrapInboundOut(.head(head)))
  }
}

/// Sees bytes before they are decoded.
private final class ByteWatch: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let guardian: ConnectionGuard

  init(_ guardian: ConnectionGuard) { self.guardian = guardian }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guardian.bytesCame()
    context.fireChannelRead(data)
  }
}

extension HTTPField.Name {
  static let host = HTTPField.Name("Host")!
}
