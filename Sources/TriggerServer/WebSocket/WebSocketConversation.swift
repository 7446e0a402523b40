import Hummingbird
import NIOCore
import NIOWebSocket
import Synchronization

/// What is said on one WebSocket. All calls come on its event loop, in order.
protocol WebSocketConversation: AnyObject {
  /// The socket is open.
  func opened(_ outlet: WebSocketOutlet)
  /// A whole text message, valid UTF-8.
  func text(_ message: ByteBuffer)
  /// Once, however it ended. Nothing comes after it, and what is sent goes nowhere.
  func ended()
}

/// Begins a conversation with who has sent a request that was let in, on the event loop of the connection. What it throws
/// is the answer, and the connection stays one of HTTP.
typealias MakeConversation = @Sendable (Request, ServerContext) throws -> any WebSocketConversation

/// Where messages go out. Any thread; nothing waits.
final class WebSocketOutlet: Sendable {
  private struct State {
    /// What the event loop has not taken over.
    var messages: [ByteBuffer] = []
    var closing: ClosingWord?
    /// It is about to.
    var isPlanned = false
    /// Nothing more goes out.
    var isOver = false
  }

  private let state = Mutex(State())
  private let waiting = Atomic(0)
  private let socket: NIOLoopBound<WebSocketHandler>
  let eventLoop: any EventLoop

  /// On the event loop.
  init(_ socket: WebSocketHandler, _ eventLoop: any EventLoop) {
    self.socket = NIOLoopBound(socket, eventLoop: eventLoop)
    self.eventLoop = eventLoop
  }

  /// Bytes of messages that `send` has accepted and the socket has not taken. What it has taken may still be on its way.
  var waitingBytes: Int { waiting.load(ordering: .relaxed) }

  /// Sends text messages, valid UTF-8, in their order, with one flush. After `close` and after the end they go nowhere.
  func send(_ messages: [ByteBuffer]) {
    if accept(messages) { eventLoop.execute { self.takeOver() } }
  }

  /// One text message to each of many, as cheaply as to few: each event loop is woken once.
  static func send(to messages: [(WebSocketOutlet, ByteBuffer)]) {
    var loops: [ObjectIdentifier: (loop: any EventLoop, outlets: [WebSocketOutlet])] = [:]
    for (outlet, message) in messages where outlet.accept(CollectionOfOne(message)) {
      loops[ObjectIdentifier(outlet.eventLoop), default: (outlet.eventLoop, [])].outlets.append(outlet)
    }
    for (loop, outlets) in loops.values {
      loop.execute {
        for outlet in outlets { outlet.takeOver() }
      }
    }
  }

  /// Closes after what was sent, with a code and a reason of at most 123 bytes. The client has some seconds to answer.
  func close(_ code: WebSocketErrorCode, _ reason: String) {
    let isFirst = state.withLock { state in
      if state.isOver || state.closing != nil { return false }
      state.closing = ClosingWord(code, reason)
      defer { state.isPlanned = true }
      return !state.isPlanned
    }
    if isFirst { eventLoop.execute { self.takeOver() } }
  }

  /// The socket reads nothing more until `resumeReading`. Messages that it has read by then still come.
  func pauseReading() { onLoop { $0.pause() } }

  /// Ends what `pauseReading` began.
  func resumeReading() { onLoop { $0.resume() } }

  private func onLoop(_ body: @escaping @Sendable (WebSocketHandler) -> Void) {
    if eventLoop.inEventLoop { return body(socket.value) }
    eventLoop.execute { [socket] in body(socket.value) }
  }

  /// Whether somebody must see to it that the event loop takes them over.
  private func accept(_ messages: some Collection<ByteBuffer>) -> Bool {
    let bytes = messages.reduce(0) { $0 + $1.readableBytes }
    return state.withLock { state in
      if state.isOver || state.closing != nil || messages.isEmpty { return false }
      waiting.add(bytes, ordering: .relaxed)
      state.messages.append(contentsOf: messages)
      defer { state.isPlanned = true }
      return !state.isPlanned
    }
  }

  /// On the event loop.
  func takeOver() {
    let (messages, closing) = state.withLock { state in
      state.isPlanned = false
      defer { state.messages = [] }
      return (state.messages, state.closing)
    }
    if !messages.isEmpty { socket.value.send(messages) }
    if let closing { socket.value.close(closing) }
  }

  /// The socket has taken so many bytes, or never will.
  func wrote(_ bytes: Int) { waiting.subtract(bytes, ordering: .relaxed) }

  /// Nothing more goes out.
  func end() {
    let bytes = state.withLock { state in
      state.isOver = true
      defer { state.messages = [] }
      return state.messages.reduce(0) { $0 + $1.readableBytes }
    }
    wrote(bytes)
  }
}
