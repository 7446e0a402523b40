import NIOCore
import NIOEmbedded
import NIOWebSocket
import TestSupport
import Testing

@testable import TriggerServer

@Suite struct WrittenFrameTests {
  /// Many messages in one piece are what NIO's own encoder makes of each, at every border of a length.
  @Test func piecesAreFrames() throws {
    let channel = EmbeddedChannel(handler: WebSocketFrameEncoder())
    var (piece, expected) = (ByteBuffer(), ByteBuffer())
    for size in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
      let text = ByteBuffer(repeating: UInt8(ascii: "x"), count: size)
      piece.writeFrame(text: text)
      try channel.writeOutbound(WebSocketFrame(fin: true, opcode: .text, data: text))
      while var part = try channel.readOutbound(as: ByteBuffer.self) { expected.writeBuffer(&part) }
    }
    #expect(piece == expected)
    _ = try? channel.finish()
  }
}

@Suite struct UnderWayTests {
  /// What is under way is bounded by bytes, and whoever stopped reading is told exactly once that it may go on.
  @Test func roomIsBoundedAndComesBackOnce() {
    let seed = testSeed()
    var random = Xorshift(seed)
    let under = UnderWay()
    for _ in 0..<30 {
      var (messages, bytes) = ([Int](), 0)
      let largest = [1, 1_000, 1 << 20].randomElement(using: &random)!
      while under.hasRoom {
        let size = Int.random(in: 0...largest, using: &random)
        under.begin(size)
        messages.append(size)
        bytes += size
      }
      #expect(
        bytes <= UnderWay.most + largest && messages.count <= UnderWay.most / UnderWay.each, "SEED=\(seed)")
      messages.shuffle(using: &random)
      #expect(messages.count { under.done($0) } == 1 && under.hasRoom, "SEED=\(seed)")
    }
  }
}
