import NIOCore
import NIOWebSocket
import TestSupport
import Testing

@testable import TriggerServer

/// The machines of a WebSocket, without a socket.
@Suite struct FrameReaderTests {
  private static func frame(
    _ opcode: WebSocketOpcode, _ bytes: some Sequence<UInt8>, fin: Bool = true
  ) -> WebSocketFrame {
    let key = WebSocketMaskingKey([1, 2, 3, 4])!
    var data = ByteBuffer(bytes: bytes)
    data.webSocketMask(key)
    return WebSocketFrame(fin: fin, opcode: opcode, maskKey: key, data: data)
  }

  /// Every beginning of a character, every bound of the next bytes, and what stands around them.
  @Test func utf8IsWhatItIsForSwift() {
    let bounds: [UInt8] = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
    for first in UInt8.min...UInt8.max {
      for second in bounds {
        for third in bounds {
          for fourth in bounds { Self.compare([first, second, third, fourth]) }
        }
      }
    }
    for length in 0...3 { Self.compare(Array("\u{10FFFF}".utf8.prefix(length))) }
  }

  private static func compare(_ bytes: [UInt8]) {
    let expected = String(validating: bytes, as: UTF8.self) != nil
    // As one piece, as pieces of one byte, and behind eight bytes of ASCII that are looked at together.
    for pieces in [[bytes], bytes.map { [$0] }, [Array("01234567".utf8) + bytes]] {
      var check = UTF8Check()
      let isGood = pieces.allSatisfy { piece in piece.withUnsafeBytes { check.accept($0) } } && check.isWhole
      if isGood != expected { Issue.record("\(bytes): expected \(expected), got \(isGood)") }
    }
  }

  /// The first byte that cannot be is refused, not a later one.
  @Test(
    arguments: [
      ([0xC0], 0), ([0xF5], 0), ([0xE0, 0x9F], 1), ([0xED, 0xA0], 1), ([0xF4, 0x90], 1), ([0xF0, 0x80], 1),
      ([0xCE, 0xBA, 0xE1, 0xBD, 0x41], 4),
    ] as [([UInt8], Int)])
  func theFirstWrongByteIsRefused(_ bytes: [UInt8], _ wrong: Int) {
    var check = UTF8Check()
    for (index, byte) in bytes.enumerated() {
      let isGood = withUnsafeBytes(of: byte) { check.accept($0) }
      #expect(isGood == (index < wrong), "byte \(index) of \(bytes)")
      if !isGood { return }
    }
  }

  @Test func fragmentsAreOneMessage() throws {
    let text = "Hällo-µ@ßöäüàá-UTF-8!! \u{1F600}"
    for size in 1...7 {
      var reader = FrameReader(limit: 100)
      let bytes = Array(text.utf8)
      for start in stride(from: 0, to: bytes.count, by: size) {
        let end = min(start + size, bytes.count)
        let part = Self.frame(
          start == 0 ? .text : .continuation, bytes[start..<end], fin: end == bytes.count)
        let meaning = try reader.read(part)
        #expect(meaning == (end == bytes.count ? .text(ByteBuffer(string: text)) : .nothing))
        // Control frames may come between fragments, and have no part in the message.
        #expect(try reader.read(Self.frame(.ping, [7])) == .ping(ByteBuffer(bytes: [7])))
      }
    }
  }

  /// A message counts with all its fragments, empty ones included, and is refused before it is whole.
  @Test func aMessageIsBounded() throws {
    var reader = FrameReader(limit: 10)
    #expect(try reader.read(Self.frame(.text, [], fin: false)) == .nothing)
    for _ in 0..<10 { #expect(try reader.read(Self.frame(.continuation, [0x61], fin: false)) == .nothing) }
    #expect(try reader.read(Self.frame(.continuation, [], fin: false)) == .nothing)
    let failure = #expect(throws: ClosingWord.self) {
      try reader.read(Self.frame(.continuation, [0x61], fin: false))
    }
    #expect(failure?.code == .messageTooLarge)
  }

  @Test func closeCodesAreThoseThatMayBeSaid() throws {
    let good = Set<Int>([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011]).union(3000...4999)
    for code in 0...0xFFFF {
      var reader = FrameReader(limit: 10)
      let frame = Self.frame(.connectionClose, [UInt8(code >> 8), UInt8(code & 0xFF)])
      if good.contains(code) {
        let meaning = try reader.read(frame)
        if meaning != .close(WebSocketErrorCode(codeNumber: code)) { Issue.record("\(code): \(meaning)") }
      } else {
        do {
          let meaning = try reader.read(frame)
          Issue.record("\(code): \(meaning)")
        } catch let word {
          if word.code != .protocolError { Issue.record("\(code): \(word)") }
        }
      }
    }
  }

  @Test func aReasonFitsIntoItsFrame() {
    for text in [String(repeating: "x", count: 200), String(repeating: "\u{1F600}", count: 40)] {
      let body = ClosingWord(.goingAway, text).body
      #expect(body.readableBytes <= 125 && body.readableBytes > 120)
      #expect(String(validating: body.readableBytesView.dropFirst(2), as: UTF8.self) != nil)
    }
  }

  @Test func silenceIsAskedAndThenEnds() {
    func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(seconds) }
    var clock = SilenceClock(bound: .seconds(30), now: at(100))
    #expect(clock.look(at: at(100)) == .wait(until: at(130)))
    clock.heard(at: at(120))
    #expect(clock.look(at: at(130)) == .wait(until: at(150)))
    // Looked at late: the time to answer begins with the question.
    #expect(clock.look(at: at(155)) == .ping(until: at(185)))
    #expect(clock.look(at: at(170)) == .wait(until: at(185)))
    clock.heard(at: at(180))
    #expect(clock.look(at: at(185)) == .wait(until: at(210)))
    #expect(clock.look(at: at(210)) == .ping(until: at(240)))
    #expect(clock.look(at: at(240)) == .dead)
  }
}
