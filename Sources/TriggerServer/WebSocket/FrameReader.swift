import NIOCore
import NIOWebSocket

/// Why a WebSocket is ended, as its Close frame says it (RFC 6455, section 7.4).
struct ClosingWord: Error, Equatable {
  let code: WebSocketErrorCode
  let reason: String

  init(_ code: WebSocketErrorCode, _ reason: String) { (self.code, self.reason) = (code, reason) }

  /// The body of the frame: a control frame has 125 bytes, the code takes two.
  var body: ByteBuffer {
    var bytes = ByteBuffer()
    bytes.write(webSocketErrorCode: code)
    var text = reason[...]
    while text.utf8.count > 123 { text.removeLast() }
    bytes.writeSubstring(text)
    return bytes
  }
}

/// Puts messages together from the frames of one client, strictly by RFC 6455. A pure machine: a frame in, what it means
/// out.
struct FrameReader {
  /// What a frame means.
  enum Meaning: Equatable {
    /// More is to come, or there is nothing to do.
    case nothing
    /// A whole text message, valid UTF-8.
    case text(ByteBuffer)
    /// To be answered with the same body.
    case ping(ByteBuffer)
    /// The client closes, with this code if it says one.
    case close(WebSocketErrorCode?)
  }

  private let limit: Int
  /// The fragments of a message that has not ended, one behind the other.
  private var message: ByteBuffer?
  private var check = UTF8Check()

  /// - Parameter limit: bytes of a message.
  init(limit: Int) { self.limit = limit }

  /// Frames longer than `limit` and control frames that are longer than 125 bytes or fragmented have been refused before,
  /// by their heads. Throws what the connection is to be closed with: nothing may be taken after it.
  mutating func read(_ frame: WebSocketFrame) throws(ClosingWord) -> Meaning {
    // Sections 5.1 and 5.2.
    guard frame.maskKey != nil else {
      throw ClosingWord(.protocolError, "a frame of a client must be masked")
    }
    guard frame.reservedBits.isEmpty else {
      throw ClosingWord(.protocolError, "a reserved bit is set, and there is no extension")
    }
    switch frame.opcode {
    case .text:
      guard message == nil else {
        throw ClosingWord(.protocolError, "a new message begins inside of a fragmented one")
      }
      return try read(frame.unmaskedData, isLast: frame.fin)
    case .continuation:
      guard message != nil else { throw ClosingWord(.protocolError, "nothing is there to be continued") }
      return try read(frame.unmaskedData, isLast: frame.fin)
    case .binary: throw ClosingWord(.unacceptableData, "messages are text")
    case .ping: return .ping(frame.unmaskedData)
    case .pong: return .nothing
    case .connectionClose: return .close(try Self.closingCode(of: frame.unmaskedData))
    default: throw ClosingWord(.protocolError, "the opcode is reserved")
    }
  }

  private mutating func read(_ bytes: ByteBuffer, isLast: Bool) throws(ClosingWord) -> Meaning {
    guard (message?.readableBytes ?? 0) + bytes.readableBytes <= limit else {
      throw ClosingWord(.messageTooLarge, "a message has at most \(limit) bytes")
    }
    guard bytes.withUnsafeReadableBytes({ check.accept($0) }), check.isWhole || !isLast else {
      throw ClosingWord(.dataInconsistentWithMessage, "the text is not UTF-8")
    }
    let whole = joined(with: bytes)
    message = isLast ? nil : whole
    return isLast ? .text(whole) : .nothing
  }

  private mutating func joined(with bytes: ByteBuffer) -> ByteBuffer {
    guard var whole = message else { return bytes }
    // Not shared while it grows, or each fragment would copy all before it.
    message = nil
    whole.writeImmutableBuffer(bytes)
    return whole
  }

  /// Sections 5.5.1 and 7.4.
  private static func closingCode(of body: ByteBuffer) throws(ClosingWord) -> WebSocketErrorCode? {
    var body = body
    if body.readableBytes == 0 { return nil }
    guard let number = body.readInteger(as: UInt16.self) else {
      throw ClosingWord(.protocolError, "the body of a Close frame has two bytes or more")
    }
    guard maySay(number) else { throw ClosingWord(.protocolError, "\(number) is no code to close with") }
    var check = UTF8Check()
    guard body.withUnsafeReadableBytes({ check.accept($0) }), check.isWhole else {
      throw ClosingWord(.dataInconsistentWithMessage, "the reason of a Close frame is not UTF-8")
    }
    return WebSocketErrorCode(codeNumber: Int(number))
  }

  /// Whether a Close frame may hold it: not what only says that there was none, and not what nobody has defined.
  private static func maySay(_ code: UInt16) -> Bool {
    switch code {
    case 1000...1003, 1007...1011, 3000...4999: true
    default: false
    }
  }
}
