import Metrics
import MetricsTestKit
import Testing
import TriggerCore
import TriggerHost
import TriggerRuntime

/// What an engine counts, as its embedder's metrics have it.
@Suite(.timeLimit(.minutes(10))) struct MetricsTests {
  private struct Count: Trigger {
    let store: VersionedStore<MemoryStoreBackend>
    var fails = false
    func execute() throws -> [CommitIntent] { fails ? [store.add("n", "x")] : [store.add("n", 1)] }
  }

  @Test func whatHasComeSinceTheLastTime() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    queue.start()
    let written = TestMetrics()
    let metrics = EngineMetrics(coordinator, factory: written)
    for _ in 0..<3 { _ = try await queue.perform(Count(store: store), priority: .high) }
    metrics.write()
    let committed = try written.expectCounter("triggerhost_operations_total", [("outcome", "committed")])
    #expect(committed.totalValue == 3)
    #expect(try written.expectRecorder("triggerhost_queue_length").lastValue == 0)
    #expect(try written.expectRecorder("triggerhost_log_lag").lastValue == 0)
    let latency = try written.expectRecorder(
      "triggerhost_commit_latency_seconds", [("priority", "high"), ("quantile", "0.99")])
    #expect(latency.values.count == 1 && (latency.lastValue ?? 0) > 0)

    _ = try await queue.perform(Count(store: store, fails: true))
    metrics.write()
    #expect(committed.totalValue == 3)
    #expect(latency.values.count == 1, "nothing of that priority came")
    #expect(
      try written.expectCounter("triggerhost_operations_total", [("outcome", "failed")]).totalValue == 1)
    #expect(try written.expectCounter("triggerhost_failures_total", [("code", "intent")]).totalValue == 1)
    for name in ["conflicts", "deferrals", "untold"] {
      #expect(try written.expectCounter("triggerhost_\(name)_total").totalValue == 0)
    }
    #expect(coordinator.stats.failures == [.intent: 1])
    await queue.stop()
  }

  /// What was counted last is not lost with the host; one that was given no back end says nothing and fails nothing.
  @Test(arguments: [true, false]) func aHostWritesWhenItStops(isGiven: Bool) async throws {
    let written = TestMetrics()
    var options = HostOptions()
    options.metrics = isGiven ? written : nil
    options.metricsInterval = .seconds(3600)
    let opened = OpenedHost(EngineConfiguration(workers: 1), options)
    let store = try opened.register(VersionedStore("s", backend: MemoryStoreBackend()))
    let host = try opened.recover().start(scripts: nil)
    _ = try await host.queue.perform(Count(store: store))
    await host.stop()
    let counted = written.counterTotal(
      label: "triggerhost_operations_total", dimensions: [("outcome", "committed")])
    #expect(counted == (isGiven ? 1 : 0))
  }
}
