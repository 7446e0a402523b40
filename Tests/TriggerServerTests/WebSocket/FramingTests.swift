import Testing
import TriggerCore

@testable import TriggerServer

/// What the Autobahn test suite asks of a server, family by family, byte by byte over a socket.
@Suite(.timeLimit(.minutes(10))) struct FramingTests {
  private typealias Frame = Probe.Frame

  /// Sends a handshake, frames and a Close frame; gives what came back until the server closed.
  private func exchange(
    _ served: ServedHost, _ bytes: [UInt8], pieces: Int = .max, closes: Bool = true
  ) async throws -> [Probe.Frame] {
    let probe = try Probe(served.port)
    await probe.send(Probe.handshake())
    #expect(await probe.head().hasPrefix("HTTP/1.1 101 "))
    await probe.send(bytes + (closes ? Probe.close() : []), inPiecesOf: pieces)
    return await probe.frames()
  }

  private static let goodbye = Frame(opcode: 8, body: [0x03, 0xE8])

  /// 1.*, 2.*, 5.*: what is said back.
  private static let good: [(name: String, bytes: [UInt8], answer: [Probe.Frame])] =
    [0, 1, 125, 126, 127, 128, 65_535, 65_536].map { count in
      let text = String(repeating: "*", count: count)
      return ("1.1 \(count) bytes", Probe.text(text), [.text(text)])
    } + [
      ("2.1 a ping without a body", Probe.frame(0x89, []), [.pong("")]),
      ("2.2 a ping", Probe.frame(0x89, Array("Hello".utf8)), [.pong("Hello")]),
      (
        "2.4 a ping of 125 bytes", Probe.frame(0x89, Array(repeating: 0xFE, count: 125)),
        [Frame(opcode: 10, body: Array(repeating: 0xFE, count: 125))]
      ),
      (
        "2.7 a pong that nobody asked for", Probe.frame(0x8A, Array("x".utf8)) + Probe.text("a"), [.text("a")]
      ),
      (
        "2.10 ten pings", (0..<10).flatMap { Probe.frame(0x89, Array("\($0)".utf8)) },
        (0..<10).map { .pong("\($0)") }
      ),
      (
        "5.3 two fragments", Probe.frame(0x01, Array("frag".utf8)) + Probe.frame(0x80, Array("ment".utf8)),
        [.text("fragment")]
      ),
      (
        "5.6 a ping between fragments",
        Probe.frame(0x01, Array("a".utf8)) + Probe.frame(0x89, Array("p".utf8)) + Probe.frame(0x00, [])
          + Probe.frame(0x89, Array("q".utf8)) + Probe.frame(0x80, Array("b".utf8)),
        [.pong("p"), .pong("q"), .text("ab")]
      ),
      (
        "6.1 fragments without a byte", Probe.frame(0x01, []) + Probe.frame(0x00, []) + Probe.frame(0x80, []),
        [.text("")]
      ),
      ("6.2 text that is not ASCII", Probe.text("Hello-µ@ßöäüàá-UTF-8!!"), [.text("Hello-µ@ßöäüàá-UTF-8!!")]),
      (
        "6.2.3 each byte a fragment",
        Array("Hello-µ\u{1F600}".utf8).enumerated().flatMap { Probe.frame($0 == 0 ? 0x01 : 0x00, [$1]) }
          + Probe.frame(0x80, []),
        [.text("Hello-µ\u{1F600}")]
      ),
      (
        "6.7 the last code points", Probe.text("\u{FFFE}\u{FFFF}\u{10FFFE}\u{10FFFF}\u{0}"),
        [.text("\u{FFFE}\u{FFFF}\u{10FFFE}\u{10FFFF}\u{0}")]
      ),
    ]

  @Test func whatIsRightIsAnswered() async throws {
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker()) { served in
      for (name, bytes, answer) in Self.good {
        let frames = try await exchange(served, bytes)
        // Answers to control frames need not wait for messages that are said back.
        #expect(Self.sorted(frames) == Self.sorted(answer + [Self.goodbye]), "\(name): \(frames)")
        #expect(frames.last == Self.goodbye, "\(name)")
      }
    }
  }

  private static func sorted(_ frames: [Probe.Frame]) -> [[Probe.Frame]] {
    Dictionary(grouping: frames, by: \.opcode).sorted { $0.key < $1.key }.map(\.value)
  }

  /// However the network cuts it, and right behind the handshake.
  @Test func bytesMayComeInAnyPieces() async throws {
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker()) { served in
      let text = "Hello-µ@ßöäüàá-\u{1F600}"
      let bytes =
        Probe.frame(0x01, Array(text.utf8)) + Probe.frame(0x89, Array("p".utf8))
        + Probe.frame(0x80, Array(text.utf8))
      for pieces in [1, 2, 3, 5, 8] {
        let frames = try await exchange(served, bytes, pieces: pieces)
        #expect(
          frames.count == 3 && frames.contains(.pong("p")) && frames.contains(.text(text + text)), "\(frames)"
        )
      }
      for pieces in [1, 7, 1000] {
        let probe = try Probe(served.port)
        await probe.send(Probe.handshake() + bytes + Probe.close(), inPiecesOf: pieces)
        #expect(await probe.head().hasPrefix("HTTP/1.1 101 "))
        let frames = await probe.frames()
        #expect(frames.contains(.text(text + text)) && frames.last == Self.goodbye, "\(frames)")
      }
    }
  }

  /// 3.*, 4.*, 5.*, 6.*, 7.*: what breaks the rules, and the code that says so.
  private static let bad: [(name: String, bytes: [UInt8], code: Int)] =
    (1...7).map { ("3.\($0) reserved bits", Probe.frame(0x81 | UInt8($0 << 4), [0x61]), 1002) }
    + [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map {
      ("4 reserved opcode \($0)", Probe.frame(0x80 | UInt8($0), []), 1002)
    } + [
      ("unmasked", Probe.frame(0x81, [0x61], isMasked: false), 1002),
      ("an unmasked ping", Probe.frame(0x89, [], isMasked: false), 1002),
      ("an unmasked Close", Probe.frame(0x88, [0x03, 0xE8], isMasked: false), 1002),
      ("1.2 binary", Probe.frame(0x82, [0]), 1003),
      ("2.5 a ping of 126 bytes", Probe.frame(0x89, Array(repeating: 0, count: 126)), 1002),
      ("a pong of 126 bytes", Probe.frame(0x8A, Array(repeating: 0, count: 126)), 1002),
      ("5.1 a ping in fragments", Probe.frame(0x09, []), 1002),
      ("5.2 a pong in fragments", Probe.frame(0x0A, []), 1002),
      ("a Close in fragments", Probe.frame(0x08, []), 1002),
      ("5.9 nothing to continue", Probe.frame(0x80, [0x61]), 1002),
      ("5.10 nothing to continue, not the last", Probe.frame(0x00, [0x61]), 1002),
      ("5.18 a message inside of another", Probe.frame(0x01, [0x61]) + Probe.text("b"), 1002),
      ("a binary one inside of another", Probe.frame(0x01, [0x61]) + Probe.frame(0x82, [0]), 1003),
      (
        "5.15 nothing to continue behind a message",
        Probe.frame(0x01, [0x61]) + Probe.frame(0x80, [0x62]) + Probe.frame(0x00, [0x63]), 1002
      ),
      ("6.3 not UTF-8", Probe.frame(0x81, [0xCE, 0xBA, 0xED, 0xA0, 0x80, 0x65]), 1007),
      (
        "6.4 not UTF-8, and never ended", Probe.frame(0x01, [0xCE, 0xBA]) + Probe.frame(0x00, [0xF4, 0x90]),
        1007
      ),
      ("6.6 a character that ends too early", Probe.frame(0x81, [0xCE]), 1007),
      (
        "a character that ends too early, in fragments", Probe.frame(0x01, [0xCE]) + Probe.frame(0x80, []),
        1007
      ),
      ("7.3.2 a Close of one byte", Probe.frame(0x88, [3]), 1002),
      (
        "7.3.6 a Close of 126 bytes", Probe.frame(0x88, [3, 0xE8] + Array(repeating: 0x61, count: 124)), 1002
      ),
      ("7.5.1 a reason that is not UTF-8", Probe.frame(0x88, [3, 0xE8, 0xCE, 0xBA, 0xED, 0xA0]), 1007),
    ]
    + [0, 999, 1004, 1005, 1006, 1012, 1016, 1100, 2000, 2999, 5000, 65_535].map {
      ("7.9 code \($0)", Probe.close($0), 1002)
    }

  @Test func whatBreaksTheRulesEndsIt() async throws {
    let notes = Echo.Notes()
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker(notes)) { served in
      for (name, bytes, code) in Self.bad {
        let frames = try await exchange(served, Probe.text("before") + bytes + Probe.text("behind"))
        let words = frames.filter { $0.opcode == 8 }
        #expect(words.count == 1 && words[0].code == code && frames.last == words[0], "\(name): \(frames)")
        #expect(!frames.contains(.text("behind")), "\(name): \(frames)")
      }
      #expect(notes.opened == Self.bad.count && notes.ended == Self.bad.count)
      // Nothing behind a fault is a message; 5.15 has a whole one before it.
      #expect(notes.messages == Self.bad.count + 1)
    }
  }

  /// 7.1, 7.7: codes that may be said are said back, and nothing behind them counts.
  @Test func theFarewellIsAnswered() async throws {
    let notes = Echo.Notes()
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker(notes)) { served in
      for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        let frames = try await exchange(
          served, Probe.close(code, "bye \u{1F600}") + Probe.text("x") + Probe.frame(0x89, []), closes: false)
        #expect(
          frames == [Frame(opcode: 8, body: [UInt8(code >> 8), UInt8(code & 0xFF)])], "\(code): \(frames)")
      }
      let frames = try await exchange(served, Probe.frame(0x88, []), closes: false)
      #expect(frames == [Frame(opcode: 8, body: [])], "\(frames)")
      #expect(notes.messages == 0)
    }
  }

  /// 9.*, scaled down, and what is too long: it is refused by its head, or by the fragment that goes over.
  @Test func sizesAreBounded() async throws {
    var options = ServerOptions()
    options.settings.limits.messageBytes = 100_000
    try await serving(ServedHost.scripts, options, conversations: Echo.maker()) { served in
      let most = String(repeating: "x", count: 100_000)
      #expect(try await exchange(served, Probe.text(most), pieces: 997).first == .text(most))
      let piece = Array(repeating: UInt8(0x78), count: 1000)
      let fragments = (0..<100).flatMap { Probe.frame($0 == 0 ? 0x01 : $0 == 99 ? 0x80 : 0x00, piece) }
      #expect(try await exchange(served, fragments).first == .text(most))
      // The head alone, and nothing behind it.
      for (name, bytes) in [
        ("by its head", Array(Probe.text(most + "x").prefix(14))),
        ("by a head of 2^63", [0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("by a fragment", Array(fragments.dropLast(1008)) + Probe.frame(0x00, piece + [0x78])),
      ] as [(String, [UInt8])] {
        let frames = try await exchange(served, bytes, closes: false)
        #expect(frames.count == 1 && frames[0].code == 1009, "\(name): \(frames)")
      }
    }
  }
}
