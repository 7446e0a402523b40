import Foundation
import NIOCore
import Synchronization

@testable import TriggerServer

/// Says everything back, and notes what it was told.
final class Echo: WebSocketConversation {
  /// What all conversations of a server were told.
  final class Notes: Sendable {
    struct State {
      var outlets: [WebSocketOutlet] = []
      var ended = 0
      var messages = 0
      var bytes = 0
    }
    let state = Mutex(State())
    var opened: Int { state.withLock { $0.outlets.count } }
    var ended: Int { state.withLock { $0.ended } }
    var messages: Int { state.withLock { $0.messages } }
    var outlets: [WebSocketOutlet] { state.withLock { $0.outlets } }
  }

  private let notes: Notes
  private let isPaused: Bool
  private var outlet: WebSocketOutlet?

  init(_ notes: Notes, isPaused: Bool = false) { (self.notes, self.isPaused) = (notes, isPaused) }

  static func maker(_ notes: Notes = Notes(), isPaused: Bool = false) -> MakeConversation {
    { _, _ in Echo(notes, isPaused: isPaused) }
  }

  func opened(_ outlet: WebSocketOutlet) {
    self.outlet = outlet
    if isPaused { outlet.pauseReading() }
    notes.state.withLock { $0.outlets.append(outlet) }
  }

  func text(_ message: ByteBuffer) {
    notes.state.withLock { state in
      state.messages += 1
      state.bytes += message.readableBytes
    }
    outlet?.send([message])
  }

  func ended() {
    outlet = nil
    notes.state.withLock { $0.ended += 1 }
  }
}

/// A client of bytes. Its calls block threads of their own.
final class Probe: Sendable {
  struct Frame: Equatable, CustomStringConvertible {
    var opcode: UInt8
    var body: [UInt8]

    static func text(_ text: String) -> Frame { Frame(opcode: 1, body: Array(text.utf8)) }
    static func pong(_ text: String) -> Frame { Frame(opcode: 10, body: Array(text.utf8)) }
    static let ping = Frame(opcode: 9, body: [])

    /// Of a Close frame.
    var code: Int? { opcode == 8 && body.count >= 2 ? Int(body[0]) << 8 | Int(body[1]) : nil }
    var description: String {
      code.map { "close \($0) \(String(decoding: body.dropFirst(2), as: UTF8.self))" }
        ?? "\(opcode): \(String(decoding: body.prefix(100), as: UTF8.self)) (\(body.count))"
    }
  }

  let file: Int32
  private let read = Mutex(Bytes())

  /// What has come, and how much of it was taken.
  private struct Bytes {
    var all: [UInt8] = []
    var start = 0
    var rest: ArraySlice<UInt8> { all[start...] }

    mutating func take(_ end: Int) {
      start = end
      if start > 1 << 20 || start == all.count {
        all.removeFirst(start)
        start = 0
      }
    }
  }

  init(_ port: Int, receiveBuffer: Int32? = nil) throws {
    file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if var size = receiveBuffer {
      setsockopt(file, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    var bound = timeval(tv_sec: 120, tv_usec: 0)
    setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &bound, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let isConnected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    if !isConnected { throw ServedHost.NotConnected() }
  }

  deinit { Foundation.close(file) }

  /// The head of a good handshake, with more fields.
  static func handshake(_ fields: String..., target: String = "/v1/ws") -> [UInt8] {
    let text =
      "GET \(target) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
      + fields.map { $0 + "\r\n" }.joined() + "\r\n"
    return Array(text.utf8)
  }

  /// A frame as a client sends it; `first` is its first byte.
  static func frame(_ first: UInt8, _ body: some Collection<UInt8>, isMasked: Bool = true) -> [UInt8] {
    var bytes = [first]
    let mask: UInt8 = isMasked ? 0x80 : 0
    switch body.count {
    case ..<126: bytes.append(mask | UInt8(body.count))
    case ..<65_536:
      bytes += [mask | 126] + (0..<2).map { UInt8(truncatingIfNeeded: body.count >> (8 - 8 * $0)) }
    default: bytes += [mask | 127] + (0..<8).map { UInt8(truncatingIfNeeded: body.count >> (56 - 8 * $0)) }
    }
    if !isMasked { return bytes + body }
    let key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
    return bytes + key + zip(body, 0...).map { $0 ^ key[$1 % 4] }
  }

  static func text(_ text: String) -> [UInt8] { frame(0x81, Array(text.utf8)) }
  static func close(_ code: Int = 1000, _ reason: String = "") -> [UInt8] {
    frame(0x88, [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8))
  }

  /// False: the server has closed.
  @discardableResult func send(_ bytes: [UInt8], inPiecesOf size: Int = .max) async -> Bool {
    await onThread { [self] in
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.prefix(size).withUnsafeBytes {
          Foundation.send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count <= 0 { return false }
        rest = rest.dropFirst(count)
      }
      return true
    }
  }

  /// Sends as often as the socket takes it within a while, which is more than a busy host needs to read on; how often, at most `most` times.
  func sendUntilFull(_ bytes: [UInt8], most: Int) async -> Int {
    await onThread { [self] in
      for count in 0..<most {
        var rest = bytes[...]
        while !rest.isEmpty {
          var wanted = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
          if poll(&wanted, 1, 1500) == 0 { return count }
          let sent = rest.withUnsafeBytes {
            Foundation.send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
          }
          if sent > 0 { rest = rest.dropFirst(sent) }
        }
      }
      return most
    }
  }

  /// The head of the answer to the handshake, and what stands before it.
  func head() async -> String {
    await onThread { [self] in
      while true {
        let head = read.withLock { bytes -> String? in
          let rest = bytes.rest
          for index in rest.indices.dropFirst(3) where rest[index - 3...index] == [13, 10, 13, 10] {
            bytes.take(index + 1)
            return String(decoding: rest[...index], as: UTF8.self)
          }
          return nil
        }
        if let head { return head }
        guard more() else { return "" }
      }
    }
  }

  /// The next frame; nil: the server has closed, or nothing came for very long.
  func frame() async -> Frame? { await frames(1).first }

  /// So many frames, or all until the server closes.
  func frames(_ count: Int = .max) async -> [Frame] {
    await onThread { [self] in
      var frames: [Frame] = []
      while frames.count < count {
        if let frame = read.withLock({ Self.taken(from: &$0) }) {
          frames.append(frame)
        } else if !more() {
          break
        }
      }
      return frames
    }
  }

  private func more() -> Bool {
    var block = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(file, &block, block.count, 0)
    if count <= 0 { return false }
    read.withLock { $0.all += block[..<count] }
    return true
  }

  private static func taken(from bytes: inout Bytes) -> Frame? {
    let (rest, first) = (bytes.rest, bytes.start)
    guard rest.count >= 2 else { return nil }
    precondition(rest[first] & 0x70 == 0 && rest[first] & 0x80 != 0 && rest[first + 1] & 0x80 == 0)
    var (start, length) = (first + 2, Int(rest[first + 1]))
    if length >= 126 {
      let width = length == 126 ? 2 : 8
      guard rest.count >= 2 + width else { return nil }
      length = rest[start..<start + width].reduce(0) { $0 << 8 | Int($1) }
      start += width
    }
    guard rest.endIndex >= start + length else { return nil }
    bytes.take(start + length)
    return Frame(opcode: rest[first] & 0x0F, body: Array(rest[start..<start + length]))
  }

  private func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
      Thread { continuation.resume(returning: body()) }.start()
    }
  }
}

extension ServerOptions {
  /// No ping comes between what a test looks for, however busy the machine is.
  static var patient: ServerOptions {
    var options = ServerOptions()
    options.settings.limits.pingTime = .seconds(600)
    return options
  }
}
