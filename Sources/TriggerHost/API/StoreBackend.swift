import TriggerCore

/// One changed key of a commit, as a backend sees it: `value` nil is a deletion.
public struct StoreChange: Sendable, Hashable {
  /// The key, never empty.
  public var key: String
  /// The key's value as of the commit.
  public var value: Value?
  /// For tests of a backend; the engine makes its own.
  public init(key: String, value: Value?) {
    self.key = key
    self.value = value
  }
}

/// Where a store lives, besides the versions the engine keeps in memory.
///
/// The engine calls `load` once, before the first commit, and then `apply` after each commit that changed
/// the store, in seq order, never twice for one seq, from one thread at a time. `apply` is told what is
/// already decided: it cannot refuse it.
public protocol StoreBackend: Sendable {
  /// The whole content of the store as its users see it: a map of documents, or a model.
  associatedtype Content: Sendable
  /// What is there before the first commit.
  func load() throws -> [String: Value]
  /// Follows one commit: one change per key, in byte order of the keys. Called after the commit, on a serial
  /// queue that the backends of a coordinator share: a slow one delays the others, but no commit.
  func apply(seq: Int64, _ changes: [StoreChange])
  /// The content for the keys and values of a snapshot. Throws when they are not a `Content`.
  func content(of values: [String: Value]) throws -> Content
  /// The keys and values of a content; `content(of:)` of it gives it back.
  func values(of content: Content) throws -> [String: Value]
}

/// Documents in memory: keys and values as they are. The readable definition of the contract.
public struct MemoryStoreBackend: StoreBackend {
  private let initial: [String: Value]
  /// - Parameter initial: what the store holds before the first commit.
  public init(_ initial: [String: Value] = [:]) { self.initial = initial }
  /// What the backend was made with.
  public func load() -> [String: Value] { initial }
  /// Does nothing, and the engine does not call it: its own versions are the store.
  public func apply(seq: Int64, _ changes: [StoreChange]) {}
  /// The keys and values as they are.
  public func content(of values: [String: Value]) -> [String: Value] { values }
  /// The map as it is.
  public func values(of content: [String: Value]) -> [String: Value] { content }
}
