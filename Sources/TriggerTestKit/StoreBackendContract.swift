import TriggerCore
import TriggerHost
import TriggerRuntime

/// What every `StoreBackend` keeps, checked against one: call it from a test of the backend.
public enum StoreBackendContract {
  /// A rule that the backend broke.
  public struct Violation: Error, CustomStringConvertible {
    /// Which rule, and what was seen instead.
    public let description: String
  }

  /// Runs the contract.
  ///
  /// - Parameters:
  ///   - backend: new, with nothing applied yet.
  ///   - contents: at least two different contents that it can hold.
  ///   - applied: what an outsider sees in the backend after `apply`; nil when there is nothing to see.
  /// - Throws: the first `Violation`, or what the backend throws.
  public static func check<Backend: StoreBackend>(
    _ backend: Backend, contents: [Backend.Content],
    applied: ((Backend) throws -> Value.Map)? = nil
  ) async throws where Backend.Content: Equatable {
    try require(contents.count > 1, "the contract needs two contents at least")
    for content in contents {
      let values = try backend.values(of: content)
      try require(
        try backend.content(of: values) == content, "content(of: values(of: x)) is x, for \(content)")
    }
    let initial = try backend.load()
    try require(try backend.load() == initial, "load gives the same twice")
    try await follows(backend, contents, initial, applied)
  }

  /// The engine replaces the whole store with each content in turn; the store and the backend follow.
  private static func follows<Backend: StoreBackend>(
    _ backend: Backend, _ contents: [Backend.Content], _ initial: Value.Map,
    _ applied: ((Backend) throws -> Value.Map)?
  ) async throws where Backend.Content: Equatable {
    let opened = OpenedHost(EngineConfiguration(workers: 2))
    let store = try opened.register(VersionedStore("contract", backend: backend))
    let host = try opened.recover().start(scripts: nil)
    defer { host.stopAndWait(within: .zero) }
    for (key, value) in initial {
      try require(try store.get(key) == value, "what load gives is there before the first commit: \(key)")
    }
    var last: Int64 = 0
    for content in contents + contents.reversed() {
      let result = try await host.queue.perform(Replace(store: store, content: content))
      try require(result.outcome == .committed, "a replacement commits: \(result.error ?? "")")
      let (seq, seen) = try store.readSnapshot()
      try require(seen == content, "readSnapshot gives what was committed: \(content), got \(seen)")
      try require(seq >= last, "the seq of a store never goes back")
      last = seq
    }
    await host.stop()
    if let applied, let content = contents.first {
      let values = try backend.values(of: content)
      try require(
        try applied(backend) == values, "the backend has followed all commits when the host has stopped")
      // One that brings itself up to date is not told.
      if backend is any FollowingStoreBackend { return }
      let other = try backend.values(of: contents[1])
      backend.replace(seq: last + 1, with: other)
      try require(try applied(backend) == other, "after replace the backend holds that content and no more")
    }
  }

  private struct Replace<Backend: StoreBackend>: Trigger {
    let store: VersionedStore<Backend>
    let content: Backend.Content
    func execute() async throws -> [CommitIntent] {
      let (seq, _) = try store.readSnapshot()
      return [try store.prepareCommit(seq, content)]
    }
  }

  private static func require(_ holds: Bool, _ rule: String) throws {
    if !holds { throw Violation(description: rule) }
  }
}
