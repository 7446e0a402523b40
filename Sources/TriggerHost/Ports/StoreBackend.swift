import TriggerCore

/// One changed key of a commit, as a backend is told.
public struct StoreChange: Sendable, Hashable {
  /// The key, never empty.
  public var key: String
  /// The key's value as of the commit; nil when the commit deleted the key.
  public var value: Value?
  /// For tests of a backend; the engine makes its own.
  public init(key: String, value: Value?) {
    self.key = key
    self.value = value
  }
}

/// Keeps a copy of a store outside the engine, which has the versions of every store in memory.
///
/// The engine calls `load` once, before the first commit. Then it calls `apply` after each commit that changed the
/// store: in seq order, never twice for one seq, from one thread at a time. These commits are decided and durable, so
/// `apply` cannot refuse them.
///
/// A backend with a copy that outlives the process is a `FollowingStoreBackend`.
public protocol StoreBackend: Sendable {
  /// The type of the whole store as its users see it: a map of documents, or a model.
  associatedtype Content: Sendable
  /// The keys and values of the store before the first commit.
  func load() throws -> Value.Map
  /// Brings the copy up to one commit. `changes` has one change per key, in byte order of the keys. The engine calls
  /// this when the commit is durable, on a serial queue of the backend's own: a slow backend delays neither commits nor
  /// other backends. While more than 1 MiB of changes wait, one call stands for several commits. It has the newest
  /// change of each key and the newest seq.
  func apply(seq: Int64, _ changes: [StoreChange])
  /// Replaces the copy by the whole store as of a seq. The engine calls this before the first commit after a recovery,
  /// and in place of `apply` when more than 32 MiB of changes waited. The default implementation calls `apply`.
  func replace(seq: Int64, with content: Value.Map)
  /// The content with the keys and values of a snapshot. Throws when the values make no `Content`.
  func content(of values: Value.Map) throws -> Content
  /// The keys and values of a content. `content(of:)` makes an equal content of them.
  func values(of content: Content) throws -> Value.Map
  /// The length in bytes from which on a string in a value is likely to come again, like the content of a file. A log
  /// on disk keeps equal strings of this length or more only once, which costs a lookup for each. Asked once. The
  /// default is `Int.max`: no string.
  var deduplicationThreshold: Int { get }
}

extension StoreBackend {
  /// `Int.max`: no string is likely to come again.
  public var deduplicationThreshold: Int { .max }

  /// Calls `apply` with every key of the content, and with a deletion of every other key that `load` gives.
  public func replace(seq: Int64, with content: Value.Map) {
    let keys = Set(content.keys).union(((try? load()) ?? [:]).keys)
    let sorted = keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    apply(seq: seq, sorted.map { StoreChange(key: $0, value: content[$0]) })
  }
}

/// A backend that cannot hold every key and value. When an execution would commit a change that the backend refuses,
/// the operation fails (`refused`), and nothing is applied. Recovery does not ask about changes that are in the log.
public protocol CheckingStoreBackend: StoreBackend {
  /// Why the backend refuses a change; nil when it does not. Be quick: the engine asks under its lock. The error reads
  /// `refused by store 'name': key: reason`.
  func refusal(of change: StoreChange) -> String?
  /// Why the store cannot grow to so many keys, and so many bytes of keys and encoded values; nil when it can.
  func refusal(ofKeys keys: Int, bytes: Int) -> String?
  /// True: keys are paths of files, with `/` between names. Then the store never gets two paths that differ only by
  /// case or Unicode form, nor two of which one would be a directory of the other. Default: false.
  var keysAreFilePaths: Bool { get }
}

extension CheckingStoreBackend {
  /// False: keys are any texts.
  public var keysAreFilePaths: Bool { false }
}

/// The rule by which a backend refuses changes, for the store's table.
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
  /// The threshold that the backend was made with, in bytes.
  public let deduplicationThreshold: Int

  /// - Parameters:
  ///   - initial: what the store holds before the first commit.
  ///   - deduplicationThreshold: set it for documents with long strings that come again, in bytes.
  public init(_ initial: Value.Map = [:], deduplicationThreshold: Int = .max) {
    self.initial = initial
    self.deduplicationThreshold = deduplicationThreshold
  }
  /// What the backend was made with.
  public func load() -> Value.Map { initial }
  /// Does nothing, and the engine does not call it: the engine's versions are the store.
  public func apply(seq: Int64, _ changes: [StoreChange]) {}
  /// The keys and values as they are.
  public func content(of values: Value.Map) -> Value.Map { values }
  /// The map as it is.
  public func values(of content: Value.Map) -> Value.Map { content }
}
