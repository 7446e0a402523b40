import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

/// Which paths may come to be in a store of files beside one another.
@Suite struct FileNamesTests {
  private struct Files: CheckingStoreBackend {
    var content: Value.Map = [:]
    var keysAreFilePaths: Bool { true }
    func load() -> Value.Map { content }
    func apply(seq: Int64, _ changes: [StoreChange]) {}
    func content(of values: Value.Map) -> Value.Map { values }
    func values(of content: Value.Map) -> Value.Map { content }
    func refusal(of change: StoreChange) -> String? { change.key == "bad" ? "no good" : nil }
    func refusal(ofKeys keys: Int, bytes: Int) -> String? { nil }
  }

  private struct Change: Trigger {
    let intents: [CommitIntent]
    func execute() async throws -> [CommitIntent] { intents }
  }

  private final class Host {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue: TriggerQueue
    let store: VersionedStore<Files>
    let other: VersionedStore<Files>

    init(_ content: Value.Map) throws {
      store = try coordinator.register(VersionedStore("s", backend: Files(content: content)))
      other = try coordinator.register(VersionedStore("t", backend: Files()))
      queue = TriggerQueue(coordinator)
      queue.start()
    }

    deinit { queue.stop() }

    /// Puts paths, and deletes those with a `-` before them.
    func change(_ store: VersionedStore<Files>? = nil, _ paths: String...) async throws -> String? {
      try await commit(intents(store ?? self.store, paths))
    }

    func intents(_ store: VersionedStore<Files>, _ paths: [String]) -> [CommitIntent] {
      paths.map { $0.hasPrefix("-") ? store.put(String($0.dropFirst()), nil) : store.put($0, "x") }
    }

    func commit(_ intents: [CommitIntent]) async throws -> String? {
      try await queue.perform(Change(intents: intents)).error
    }
  }

  @Test func twoPathsThatAreOneFileAreRefused() async throws {
    let host = try Host(["Read.me": "x", "lib/Größe": "x"])
    let refused = "refused by store 's': "
    let why = "only by case or Unicode form: on some systems they are one file"
    #expect(try await host.change(nil, "a", "read.me") == refused + "read.me: differs from Read.me \(why)")
    #expect(try await host.change(nil, "lib/größe") == refused + "lib/größe: differs from lib/Größe \(why)")
    #expect(try await host.change(nil, "Lib/other") == refused + "Lib/other: differs from lib \(why)")
    #expect(try await host.change(nil, "b", "B") == refused + "B: differs from b \(why)")
    #expect(
      try await host.change(nil, "lib/Größe/x")
        == refused + "lib/Größe/x: lib/Größe is a file, and cannot be a directory too")
    #expect(
      try await host.change(nil, "lib") == refused
        + "lib: it is a directory, of lib/Größe, and cannot be a file too")
    #expect(
      try await host.change(nil, "c", "c/d") == refused + "c/d: c is a file, and cannot be a directory too")
    #expect(try host.store.readSnapshot().value == ["Read.me": "x", "lib/Größe": "x"])
    // What goes makes room, also for its other spelling and for a directory.
    #expect(try await host.change(nil, "-Read.me", "read.me") == nil)
    #expect(try await host.change(nil, "-read.me", "read.me/now") == nil)
    #expect(try await host.change(nil, "-lib/Größe", "LIB") == nil)
    #expect(try await host.change(nil, "LIB", "read.me/now") == nil, "paths that are there may change")
    #expect(try host.store.readSnapshot().value.keys.sorted() == ["LIB", "read.me/now"])
  }

  /// A list that one store refuses has changed nothing in the others.
  @Test func aRefusedListTakesNothing() async throws {
    let host = try Host(["a": "x"])
    #expect(try await host.change(nil, "bad", "new") == "refused by store 's': bad: no good")
    for (mine, theirs) in [(["new", "-a"], ["b", "B"]), (["new", "NEW"], ["b"])] {
      let error = try await host.commit(host.intents(host.store, mine) + host.intents(host.other, theirs))
      #expect(error?.contains("only by case") == true)
    }
    #expect(try await host.change(nil, "A")?.contains("differs from a ") == true)
    #expect(try await host.change(nil, "NEW") == nil)
    #expect(try await host.change(host.other, "B") == nil)
  }

  /// What history brings in between is not refused, and counts.
  @Test func whatWasDecidedBeforeCounts() throws {
    let engine = Engine(configuration: EngineConfiguration(), clock: SystemClock(), log: nil)
    let committer = engine.withState { $0.committer }
    let table = engine.stores.declare("s")
    table.rule = Files().rule
    var seq: Int64 = 0
    func apply(_ change: ChangeKind, _ path: String, isNew: Bool) -> String? {
      var writes = WriteSet()
      CanonicalEncoding.encode("x").withUnsafeBytes { value in
        Array(path.utf8).withUnsafeBufferPointer {
          writes.add(.change(change, .passUnretained(table)), key: $0, value: value)
        }
      }
      seq += 1
      do throws(Failure) { try committer.apply(writes, seq: seq, isNew: isNew) } catch {
        return error.message
      }
      return nil
    }
    #expect(apply(.put, "a", isNew: true) == nil)
    #expect(apply(.delete, "a", isNew: false) == nil)
    #expect(apply(.put, "A", isNew: true) == nil)
    #expect(apply(.put, "bad", isNew: false) == nil)
    #expect(apply(.put, "BAD", isNew: true)?.contains("differs from bad ") == true)
  }

  /// Random commits against a check of all pairs. `SEED=1 swift test --filter FileNamesTests` repeats one.
  @Test func equalsACheckOfAllPairs() async throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let host = try Host([:])
    var there: Set<String> = []
    for step in 0..<2000 {
      var after = there
      var changes: [String] = []
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let path = (0..<Int.random(in: 1...3, using: &random)).map { _ in
          ["a", "A", "b", "é", "É"].randomElement(using: &random)!
        }.joined(separator: "/")
        let isGone = Int.random(in: 0..<3, using: &random) == 0
        changes.append(isGone ? "-" + path : path)
        if isGone { after.remove(path) } else { after.insert(path) }
      }
      let error = try await host.commit(host.intents(host.store, changes))
      let fits = after.allSatisfy { path in after.allSatisfy { path == $0 || Self.fit(path, $0) } }
      #expect(
        (error == nil) == fits, "seed \(seed), step \(step): \(changes) to \(there): \(error ?? "none")")
      if error == nil { there = after }
    }
    #expect(Set(try host.store.readSnapshot().value.keys) == there, "seed \(seed)")
  }

  private static func fit(_ left: String, _ right: String) -> Bool {
    let (left, right) = (left.split(separator: "/"), right.split(separator: "/"))
    for (one, other) in zip(left, right) where one != other { return one.lowercased() != other.lowercased() }
    return false
  }
}
