import Foundation
import NIOCore
import TestSupport
import Testing
import TriggerCore

@testable import TriggerServer

/// What a conversation can do with its socket, and how one ends.
@Suite(.timeLimit(.minutes(10))) struct OutletTests {
  private func open(_ served: ServedHost, receiveBuffer: Int32? = nil) async throws -> Probe {
    let probe = try Probe(served.port, receiveBuffer: receiveBuffer)
    await probe.send(Probe.handshake())
    #expect(await probe.head().hasPrefix("HTTP/1.1 101 "))
    return probe
  }

  /// Times of HTTP are none of a WebSocket's; its own silence is asked, and then ends.
  @Test func silenceIsAskedAndEnds() async throws {
    var options = ServerOptions()
    options.settings.limits.idleTime = .milliseconds(1500)
    options.settings.limits.headerTime = .milliseconds(1500)
    options.settings.limits.pingTime = .seconds(1)
    let notes = Echo.Notes()
    try await serving(ServedHost.scripts, options, conversations: Echo.maker(notes)) { served in
      let probe = try await open(served)
      for _ in 0..<3 {
        #expect(await probe.frame() == .ping)
        await probe.send(Probe.frame(0x8A, []))
      }
      #expect(await probe.frame() == .ping)
      #expect(await probe.frame()?.code == 1008)
      // It does not even answer that.
      #expect(await probe.frame() == nil)
      #expect(notes.ended == 1)
    }
  }

  @Test func theEndOfTheServerIsSaid() async throws {
    let notes = Echo.Notes()
    let served = try await ServedHost(conversations: Echo.maker(notes))
    let (polite, deaf) = (try await open(served), try await open(served))
    async let stopped: Void = served.stop()
    #expect(await polite.frame()?.code == 1001)
    await polite.send(Probe.close(1001))
    #expect(await polite.frame() == nil)
    #expect(await deaf.frame()?.code == 1001)
    #expect(await deaf.frame() == nil)
    try await stopped
    #expect(notes.ended == 2)
  }

  /// Who breaks off without a word has ended it, whether both ways are closed or one.
  @Test func whoIsGoneIsGone() async throws {
    let notes = Echo.Notes()
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker(notes)) { served in
      let half = try await open(served)
      shutdown(half.file, Int32(SHUT_WR))
      #expect(await half.frame() == nil)
      do { _ = try await open(served) }
      let broken = try await open(served)
      var linger = linger(l_onoff: 1, l_linger: 0)
      setsockopt(broken.file, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
      shutdown(broken.file, Int32(SHUT_RDWR))
      try await poll(for: "the ends") { notes.ended == 3 }
      // Closed before the answer to the handshake could be read.
      for _ in 0..<20 {
        let early = try Probe(served.port)
        await early.send(Probe.handshake())
        shutdown(early.file, Int32(SHUT_WR))
        // To its end: it comes in any case.
        while await !early.head().isEmpty {}
      }
      try await poll(for: "the ends") { notes.ended == notes.opened && notes.opened <= 23 }
    }
  }

  /// A conversation that cannot go on makes its client wait, and only that.
  @Test func aPausedSocketReadsNothing() async throws {
    let notes = Echo.Notes()
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker(notes, isPaused: true)) {
      served in
      let probe = try await open(served)
      let message = Probe.text(String(repeating: "x", count: 10_000))
      let sent = await probe.sendUntilFull(message, most: 20_000)
      #expect(sent < 20_000)
      #expect(notes.messages == 0)
      notes.outlets[0].resumeReading()
      try await poll(for: "what was sent") { notes.messages >= sent }
    }
  }

  /// Who does not read the answers is not read: 10,000 pings of 125 bytes cost the host no more than a buffer.
  @Test func whoTakesNoAnswersIsNotRead() async throws {
    let notes = Echo.Notes()
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker(notes)) { served in
      let probe = try await open(served, receiveBuffer: 4096)
      let ping = Probe.frame(0x89, Array(repeating: 0x70, count: 125))
      // More than the buffers of the system take.
      let sent = await probe.sendUntilFull(Array(repeatElement(ping, count: 1000).joined()), most: 300)
      #expect(sent < 300)
      // Another one is answered meanwhile.
      let other = try await open(served)
      await other.send(Probe.text("hello"))
      #expect(await other.frame() == .text("hello"))
      let pongs = await probe.frames(sent * 1000)
      #expect(pongs.count == sent * 1000 && pongs.allSatisfy { $0.opcode == 10 })
    }
  }

  @Test func whatWaitsIsCounted() async throws {
    let notes = Echo.Notes()
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker(notes)) { served in
      let probe = try await open(served, receiveBuffer: 4096)
      try await poll(for: "the conversation") { notes.opened == 1 }
      let outlet = notes.outlets[0]
      let message = ByteBuffer(repeating: 0x78, count: 1 << 20)
      outlet.send(Array(repeating: message, count: 16))
      #expect(outlet.waitingBytes > 0)
      for _ in 0..<16 { #expect(await probe.frame()?.body.count == 1 << 20) }
      try await poll(for: "nothing to wait") { outlet.waitingBytes == 0 }
      // After the last word nothing is accepted.
      outlet.close(.policyViolation, "too slow")
      outlet.send([message])
      #expect(await probe.frame()?.code == 1008)
      await probe.send(Probe.close(1008))
      #expect(await probe.frame() == nil)
      outlet.send([message])
      #expect(outlet.waitingBytes == 0)
    }
  }

  /// What waits for a client that is gone waits no more.
  @Test func nothingWaitsForWhoIsGone() async throws {
    let notes = Echo.Notes()
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker(notes)) { served in
      do {
        let probe = try await open(served, receiveBuffer: 4096)
        try await poll(for: "the conversation") { notes.opened == 1 }
        notes.outlets[0].send(Array(repeating: ByteBuffer(repeating: 0x78, count: 1 << 20), count: 16))
        _ = await probe.frame()
      }
      try await poll(for: "the end") { notes.ended == 1 && notes.outlets[0].waitingBytes == 0 }
    }
  }

  @Test func manyAreToldAtOnce() async throws {
    let notes = Echo.Notes()
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker(notes)) { served in
      var probes: [Probe] = []
      for _ in 0..<100 { probes.append(try await open(served)) }
      try await poll(for: "all of them") { notes.opened == 100 }
      for round in 0..<3 {
        WebSocketOutlet.send(to: notes.outlets.map { ($0, ByteBuffer(string: "round \(round)")) })
      }
      for probe in probes {
        for round in 0..<3 { #expect(await probe.frame() == .text("round \(round)")) }
      }
    }
  }

  /// Messages that come in one piece are each said back, in their order.
  @Test func messagesKeepTheirOrder() async throws {
    try await serving(ServedHost.scripts, .patient, conversations: Echo.maker()) { served in
      let probe = try await open(served)
      async let sent = probe.send((0..<5000).flatMap { Probe.text("\($0)") })
      #expect(await probe.frames(5000) == (0..<5000).map { .text("\($0)") })
      #expect(await sent)
    }
  }
}
