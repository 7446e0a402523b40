import Testing
import TriggerCore

import TriggerHost

/// Stores with a dot first are the host's own: in the log and in snapshots like others, and nobody else's business.
@Suite struct InternalStoreTests {
  private struct Put: Trigger {
    func execute() -> [CommitIntent] {
      [".own", "shop"].map { VersionedStore($0, backend: MemoryStoreBackend()).put("key", 1) }
    }
  }

  @Test func scriptsNeitherSeeThemNorHearOfThem() async throws {
    var configuration = EngineConfiguration(workers: 1)
    configuration.strictStores = true
    let coordinator = CommitCoordinator(configuration)
    let queue = TriggerQueue(coordinator)
    for name in ["shop", "heard"] {
      try coordinator.register(VersionedStore(name, backend: MemoryStoreBackend()))
    }
    let own = queue.internalStore(".own")
    let scripts = [
      "hear.lua": """
      return { on = { commit = { "shop/*", ".own/*" } }, execute = function(event, ctx)
        return { ctx:store("heard"):append("keys", event.keys) }
      end }
      """,
      "open.lua": """
      return { on = { event = "open" }, execute = function(event, ctx)
        return { ctx:store(".own"):put("key", 2) }
      end }
      """,
    ]
    queue.bind([], scripts: ScriptTree(files: scripts.mapValues { Array($0.utf8) }))
    queue.start()
    defer { queue.stop() }
    #expect(try await queue.perform(Put()).outcome == .committed)
    let refused = try await queue.perform(Event("open"))
    #expect(
      refused.first?.error?.hasPrefix(
        "open.lua:2: store '.own': names with a dot first are the host's own") == true,
      "\(refused)")
    await queue.waitUntilIdle()
    #expect(try own.get("key") == 1)
    #expect(coordinator.storeNames == ["heard", "shop"])
    #expect(try coordinator.store("heard").scan().first?.value == [["shop/key"]])
  }
}
