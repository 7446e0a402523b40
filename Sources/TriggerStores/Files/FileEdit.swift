import TriggerCore
import TriggerHost

/// A change of a file that did not come from the store.
public struct FileEdit: Sendable, Hashable {
  /// Key of the store.
  public var path: String
  /// What the file holds now; nil: it is gone.
  public var content: FileContent?
}

/// Edits that belong together: a burst. To become one commit, after those of all bursts before it.
public struct FileEdits: Sendable, Hashable {
  /// From 1, one more for each burst.
  public var number: Int64
  /// In the order they were made in; of two for one path the later one counts.
  public var edits: [FileEdit]

  /// The store of the host's own in which the name of each store of files has the number of the last burst that is in
  /// that: so it is known, after a crash too, which edits have become commits.
  public static let committed = ".edits"

  /// What to commit: the edits, and that they are in. Reads nothing, so it conflicts with nothing.
  public func intents(for store: VersionedStore<FileStoreBackend>) -> [CommitIntent] {
    let committed = VersionedStore(Self.committed, backend: MemoryStoreBackend())
    return edits.map { store.put($0.path, $0.content?.value) } + [committed.put(store.name, .int(number))]
  }
}

/// Makes a commit of a burst of edits.
public struct FileEditTrigger: Trigger {
  /// Where the edits go.
  public let store: VersionedStore<FileStoreBackend>
  /// The burst.
  public let edits: FileEdits
  /// Default: priority `normal`.
  public var options = TriggerOptions()

  /// - Parameter store: that of the backend which told of the edits.
  public init(_ store: VersionedStore<FileStoreBackend>, _ edits: FileEdits) {
    self.store = store
    self.edits = edits
  }

  /// The same for all stores: records and counters of them come together.
  public var name: String { "file-edit" }

  /// `FileEdits.intents`.
  public func execute() async throws -> [CommitIntent] { edits.intents(for: store) }
}
