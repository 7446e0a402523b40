import Foundation
import TestSupport
import Testing

@testable import TriggerServer

/// What WebSockets cost: measured when somebody asks, with `MEASURE_SOCKETS=10000` and enough descriptors
/// (`ulimit -n 50000`).
@Suite(.timeLimit(.minutes(10))) struct IdleCostTests {
  private static let count = ProcessInfo.processInfo.environment["MEASURE_SOCKETS"].flatMap { Int($0) }

  @Test(.enabled(if: count != nil)) func idleSocketsCostLittle() async throws {
    var options = ServerOptions()
    options.settings.limits.connections = 100_000
    let notes = Echo.Notes()
    let count = try #require(Self.count)
    try await serving(ServedHost.scripts, options, conversations: Echo.maker(notes)) { served in
      // What is needed once is there before it is measured.
      for _ in 0..<100 { try await exchange(try Probe(served.port)) }
      let before = Self.memory
      var probes: [Probe] = []
      for _ in 0..<count {
        let probe = try Probe(served.port)
        try await exchange(probe)
        probes.append(probe)
      }
      try await poll(for: "all of them") { notes.opened == count + 100 }
      let each = (Self.memory - before) / count
      print("\(count) idle WebSockets: \(each) bytes of memory each, client included")
      // One message to all of them.
      let start = ContinuousClock.now
      let outlets = notes.outlets.suffix(count)
      WebSocketOutlet.send(to: outlets.map { ($0, .init(string: "told")) })
      try await poll(for: "all to be told") { outlets.allSatisfy { $0.waitingBytes == 0 } }
      print("told in \(ContinuousClock.now - start)")
    }
  }

  /// A message there and back: buffers that stay are counted.
  private func exchange(_ probe: Probe) async throws {
    await probe.send(Probe.handshake() + Probe.text("hello"))
    _ = await probe.head()
    #expect(await probe.frame() == .text("hello"))
  }

  /// Bytes of memory that this process uses.
  private static var memory: Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    return (Int(text.split(separator: " ").dropFirst().first ?? "") ?? 0) * 4096
  }
}
