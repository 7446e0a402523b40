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
/// already decided and durable: it cannot refuse it.
///
/// A backend that keeps a copy which outlives the process is a `FollowingStoreBackend`.
public protocol StoreBackend: Sendable {
  /// The whole content of the store as its users see it: a map of documents, or a model.
  associatedtype Content: Sendable
  /// What is there before the first commit.
  func load() throws -> Value.Map
  /// Follows one commit: one change per key, in byte order of the keys. Called once the commit is durable, on a
  /// serial queue of the backend's own: a slow one delays neither commits nor other backends. While more than
  /// 1 MiB of changes wait for it, several commits come as one call, with the newest change of each key and the
  /// newest seq.
  func apply(seq: Int64, _ changes: [StoreChange])
  /// The whole store as of a seq: what recovery found in a log, before the first commit after it; and in place
  /// of the changes when more than 32 MiB of them waited. The default tells `apply` what differs from `load`.
  func replace(seq: Int64, with content: Value.Map)
  /// The content for the keys and values of a snapshot. Throws when they are not a `Content`.
  func content(of values: Value.Map) throws -> Content
  /// The keys and values of a content; `content(of:)` of it gives it back.
  func values(of content: Content) throws -> Value.Map
  /// Strings in values, of so many bytes or more, are likely to come again, as contents of files do: a log on disk
  /// keeps each distinct one once, which costs it a lookup for each. Asked once. The default is `Int.max`: none.
  var deduplicationThreshold: Int { get }
}

extension StoreBackend {
  /// None is likely to come again.
  public var deduplicationThreshold: Int { .max }

  /// Tells `apply` every key of the content, and that those are gone which `load` gives besides.
  public func replace(seq: Int64, with content: Value.Map) {
    let keys = Set(content.keys).union(((try? load()) ?? [:]).keys)
    let sorted = keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    apply(seq: seq, sorted.map { StoreChange(key: $0, value: content[$0]) })
  }
}

/// A backend whose users cannot have every key and value: an execution that would commit one fails, with nothing
/// applied. What is in the log is not asked about again.
public protocol CheckingStoreBackend: StoreBackend {
  /// Why a change cannot be made; nil when it can. Asked under the engine's lock: be quick. The error reads
  /// `refused by store 'name': key: reason`.
  func refusal(of change: StoreChange) -> String?
  /// Why the store cannot grow to so many keys, and bytes of keys and encoded values; nil when it can.
  func refusal(ofKeys keys: Int, bytes: Int) -> String?
  /// Keys are paths of files, with `/` between names: a path cannot come to be beside one that differs from it only by
  /// case or Unicode form, or that would have to be a directory of it. Default: they are not.
  var keysAreFilePaths: Bool { get }
}

extension CheckingStoreBackend {
  /// They are not.
  public var keysAreFilePaths: Bool { false }
}

/// A backend's rule, for its table.
struct BackendRule<Backend: CheckingStoreBackend>: StoreRule {
  let backend: Backend

  func refusal(of key: UnsafeBufferPointer<UInt8>, _ value: UnsafeRawBufferPointer?) -> String? {
    let value = value.flatMap { try? CanonicalEncoding.decode($0) }
    return backend.refusal(of: StoreChange(key: String(decoding: key, as: UTF8.self), value: value))
  }

  func refusal(ofKeys keys: Int, bytes: Int) -> String? { backend.refusal(ofKeys: keys, bytes: bytes) }

  var keysAreFilePaths: Bool { backend.keysAreFilePaths }
}

extension CheckingStoreBackend {
  var rule: any StoreRule { BackendRule(backend: self) }
}

/// Documents in memory: keys and values as they are. The readable definition of the contract.
public struct MemoryStoreBackend: StoreBackend {
  private let initial: Value.Map
  /// As it was given.
  public let deduplicationThreshold: Int

  /// - Parameters:
  ///   - initial: what the store holds before the first commit.
  ///   - deduplicationThreshold: for documents with long strings that come again, in bytes.
  public init(_ initial: Value.Map = [:], deduplicationThreshold: Int = .max) {
    self.initial = initial
    self.deduplicationThreshold = deduplicationThreshold
  }
  /// What the backend was made with.
  public func load() -> Value.Map { initial }
  /// Does nothing, and the engine does not call it: its own versions are the store.
  public func apply(seq: Int64, _ changes: [StoreChange]) {}
  /// The keys and values as they are.
  public func content(of values: Value.Map) -> Value.Map { values }
  /// The map as it is.
  public func values(of content: Value.Map) -> Value.Map { content }
}
