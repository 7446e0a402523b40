import Synchronization
import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

@Suite struct IdempotencyTests {
  private static let scripts = [
    "count.lua": """
    return { on = { event = "n" }, execute = function(event, ctx)
      return { ctx:store("counts"):add("n", 1) }
    end }
    """
  ]

  private func send(
    _ event: Event, key: String, scope: String = "s", to host: TestHost
  ) async throws -> (EventID, [OperationResult]) {
    let (stream, results) = AsyncStream.makeStream(of: (EventID, [OperationResult]).self)
    _ = try host.queue.offer(event, scope: scope, key: key) { results.yield(($0, $1)) }
    return try #require(await stream.first { _ in true })
  }

  @Test func aRepeatedKeyGetsTheFirstResult() async throws {
    let host = try TestHost(scripts: Self.scripts)
    let first = try await send(Event("n", ["x": 1]), key: "a", to: host)
    let again = try await send(Event("n", ["x": 1]), key: "a", to: host)
    #expect(first.0 == again.0)
    #expect(first.1.map(\.seq) == again.1.map(\.seq))
    #expect(try host.value("counts", "n") == 1)
    // Another scope, another key: other events.
    let other = try await send(Event("n", ["x": 1]), key: "a", scope: "t", to: host)
    #expect(other.0 != first.0)
    #expect(try host.value("counts", "n") == 2)
    host.stop()
  }

  @Test func anotherEventWithTheKeyIsRefused() async throws {
    let host = try TestHost(scripts: Self.scripts)
    _ = try await send(Event("n", ["x": 1]), key: "a", to: host)
    let error = #expect(throws: KeyReused.self) {
      try host.queue.offer(Event("n", ["x": 2]), scope: "s", key: "a") { _, _ in }
    }
    #expect("\(error!)".contains("'a' was used with another event"))
    host.stop()
  }

  @Test func aKeyIsForgottenAfterADay() async throws {
    let host = try TestHost(scripts: Self.scripts)
    let first = try await send(Event("n"), key: "a", to: host)
    host.clock.advance(by: .seconds(24 * 3600 - 1))
    #expect(try await send(Event("n"), key: "a", to: host).0 == first.0)
    host.clock.advance(by: .seconds(2))
    #expect(try await send(Event("n"), key: "a", to: host).0 != first.0)
    #expect(try host.value("counts", "n") == 2)
    host.stop()
  }

  @Test func aKeyWithoutATriggerIsAnswered() async throws {
    let host = try TestHost(scripts: Self.scripts)
    #expect(try await send(Event("nobody"), key: "a", to: host).1.isEmpty)
    host.stop()
  }
}
