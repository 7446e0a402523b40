import Dispatch
import Synchronization
import Testing
import TriggerCore
import TriggerHost

/// Any number observe a queue, and none costs another anything.
@Suite(.timeLimit(.minutes(10))) struct ObservationTests {
  private struct Fail: Trigger {
    func execute() throws -> [CommitIntent] { throw CancellationError() }
  }

  private func host() -> (CommitCoordinator, TriggerQueue) {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    queue.start()
    return (coordinator, queue)
  }

  private func first<Item>(_ count: Int, of stream: AsyncStream<Item>) async -> [Item] {
    var items: [Item] = []
    for await item in stream {
      items.append(item)
      if items.count == count { break }
    }
    return items
  }

  /// The second took the place of the first.
  @Test func everybodyHears() async throws {
    let (_, queue) = host()
    defer { queue.stop() }
    let seen = Mutex<[String: [Int64]]>([:])
    let observations = ["a", "b", "c"].map { name in
      queue.observe { result, _ in seen.withLock { $0[name, default: []].append(result.seq) } }
    }
    for _ in 0..<3 { _ = try await queue.perform(Fail()) }
    await queue.waitUntilIdle()
    observations[1].cancel()
    observations[1].cancel()
    #expect(observations.map(\.isActive) == [true, false, true])
    _ = try await queue.perform(Fail())
    await queue.waitUntilIdle()
    #expect(seen.withLock { $0 } == ["a": [1, 2, 3, 4], "b": [1, 2, 3], "c": [1, 2, 3, 4]])
  }

  /// Of events that nobody takes, too: each name once, to all who observe then.
  @Test func everybodyHearsOfEventsThatNobodyTakes() async throws {
    let (coordinator, queue) = host()
    defer { queue.stop() }
    let seen = Mutex<[String: [String]]>([:])
    func observe(_ observer: String) -> Observation {
      coordinator.whenUnheard { kind, name in
        seen.withLock { $0[observer, default: []].append("\(kind) \(name)") }
      }
    }
    // A name is told when it comes for the first time, to whoever observes then.
    _ = try await queue.perform(Event("one"))
    let first = observe("a")
    _ = observe("b")
    for name in ["one", "two", "two"] { _ = try await queue.perform(Event(name)) }
    await queue.waitUntilIdle()
    first.cancel()
    _ = observe("c")
    for name in ["two", "three"] { _ = try await queue.perform(Event(name)) }
    await queue.waitUntilIdle()
    #expect(
      seen.withLock { $0 } == [
        "a": ["event two"], "b": ["event two", "event three"], "c": ["event three"],
      ])
  }

  @Test func oneThatHangsCostsItself() async throws {
    let (coordinator, queue) = host()
    defer { queue.stop() }
    let goOn = DispatchSemaphore(value: 0)
    let (began, begin) = AsyncStream.makeStream(of: Void.self)
    let stuck = queue.observe(buffer: 3) { _, _ in
      begin.yield()
      goOn.wait()
    }
    let (heard, hear) = AsyncStream.makeStream(of: Int64.self)
    queue.observe { result, _ in hear.yield(result.seq) }
    _ = try await queue.perform(Fail())
    for await _ in began { break }
    for _ in 0..<10 { _ = try await queue.perform(Fail()) }
    #expect(await first(11, of: heard) == Array(1...11))
    // One is being told, and counts until it has been; two more wait.
    #expect(stuck.untold == 8 && coordinator.stats.untold == 8)
    #expect(stuck.isActive)
    stuck.cancel()
    goOn.signal()
  }

  @Test func oneThatWantsAllEndsWhenItCannotHaveIt() async throws {
    let (_, queue) = host()
    defer { queue.stop() }
    let goOn = DispatchSemaphore(value: 0)
    let (began, begin) = AsyncStream.makeStream(of: Int64.self)
    let body: Observation.Body = { result, _ in
      begin.yield(result.seq)
      goOn.wait()
    }
    let observation: Observation = queue.observe(buffer: 1, whenFull: .end, body)
    _ = try await queue.perform(Fail())
    for await _ in began { break }
    for _ in 0..<3 { _ = try await queue.perform(Fail()) }
    #expect(!observation.isActive && observation.untold == 1)
    goOn.signal()
  }
}
