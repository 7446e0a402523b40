import Foundation
import Synchronization
import TriggerCore
import TriggerFiles
import TriggerHost
import TriggerSQLite

/// A directory as a store: key = relative path, value = content, UTF-8 text as a string and other bytes as a
/// byte string (in Lua both are strings).
///
/// Commits are written out, in order, after they are durable: whole files, each replaced in one step; commits
/// that come quicker than the disk are written together, the newest content of each file. All files of a
/// commit show, or, after a crash, are made to show by the next start, before anything else happens. Whatever
/// the directory holds that did not come from the store is an edit: it is told of, and becomes a commit
/// (`FileEditTrigger`), so what is in the directory at first enters the store that way too. An edit is never
/// overwritten unseen: what a write displaces is looked at, and told of as well.
///
/// Empty directories are none to a store. A link to a file takes part as that file, and gives way to a file
/// when a commit writes to its path; nothing is written behind links to directories. A file keeps its
/// permissions, and nothing else of its inode. What cannot be written is a problem, tried again every 2 s
/// and after each change of the directory; the store is not held up.
public final class FileStoreBackend: CheckingStoreBackend {
  /// Where edits and problems go, called on a thread of the backend, in order.
  public struct Handlers: Sendable {
    /// One burst of edits: make a commit of its `intents`, in the order of the calls.
    public var edits: @Sendable (FileEdits) -> Void
    /// All that is wrong now, when that has changed, in the order of the paths.
    public var problems: @Sendable ([FileProblem]) -> Void

    /// - Parameter edits: must not wait for the backend.
    public init(
      edits: @escaping @Sendable (FileEdits) -> Void,
      problems: @escaping @Sendable ([FileProblem]) -> Void = { _ in }
    ) {
      self.edits = edits
      self.problems = problems
    }
  }

  /// As it was given.
  public let directory: String
  private let policy: FilePathPolicy
  private let rule: FileStoreRule
  /// So that what `load` has read and what is followed lie in memory once.
  private let contents: ContentStore
  private let keepsMark: Bool
  private let writer: FileStoreWriter
  private let watcher: DirectoryWatcher
  private let initial = Mutex(Initial.unread)

  /// What the directory held before the start, without a mark.
  private enum Initial {
    case unread
    case read(FileTree)
    /// The store has it.
    case begun
  }

  /// - Parameters:
  ///   - directory: it must exist when the backend starts.
  ///   - mark: SQLite file that keeps what has been written out, best in the host's data directory: one for
  ///     each directory and log. Nil when there is no log: then `load` gives what the directory holds.
  ///   - options: how the directory is followed, and which paths are good; files must fit into values.
  /// - Throws: `StorageError` when the mark cannot be opened.
  public convenience init(
    directory: String, mark: String?, options: DirectoryWatcher.Options = DirectoryWatcher.Options()
  ) throws {
    try self.init(directory: directory, mark: mark, options: options, exchanges: true) { _ in }
  }

  /// - Parameter step: called before each step that a crash may separate from the next; an error of its own
  ///   ends the backend there, as a crash would.
  package init(
    directory: String, mark: String?, options: DirectoryWatcher.Options, exchanges: Bool,
    strangersQuiet: Int64? = nil,
    step: @escaping @Sendable (FileStoreStep) throws -> Void
  ) throws {
    var options = options
    options.policy.fileBytes = min(options.policy.fileBytes, FilePathPolicy().fileBytes)
    self.directory = directory
    policy = options.policy
    contents = options.contents
    rule = FileStoreRule(options.policy)
    keepsMark = mark != nil
    watcher = DirectoryWatcher(directory, options: options)
    writer = FileStoreWriter(
      DirectoryWriter(
        root: directory, policy: options.policy, exchanges: exchanges, strangersQuiet: strangersQuiet,
        step: step),
      mark: try FileMark(path: mark), watcher: watcher)
  }

  /// Follows what `stop` left; nothing is written any more.
  deinit { watcher.stop() }

  // MARK: The contract of backends

  /// With a mark nothing: what the directory holds enters by commits, which a log has, so that it can be
  /// replayed. Without one, what the directory holds now.
  ///
  /// - Throws: `FileProblem` when another host has the directory.
  public func load() throws -> Value.Map {
    try writer.acquireLock()
    if keepsMark { return [:] }
    return try initial.withLock { initial in
      if case .read(let tree) = initial { return Value.Map(tree.files.mapValues(\.value)) }
      var index = DirectoryIndex(directory, policy: policy, contents: contents)
      index.refresh(.everything)
      if case .unread = initial {
        try writer.loaded(index.tree)
        initial = .read(index.tree)
      }
      return Value.Map(index.tree.files.mapValues(\.value))
    }
  }

  /// Takes a commit to be written out, and returns at once.
  public func apply(seq: Int64, _ changes: [StoreChange]) { writer.apply(seq: seq, changes) }

  /// Takes the whole store as of a seq, and returns at once. Before `start` it is what recovery found in the
  /// log; without this call the store begins with what `load` gave.
  public func replace(seq: Int64, with content: Value.Map) { writer.replace(seq: seq, content) }

  /// The files. Throws `FileProblem` for a value that is neither a string nor a byte string.
  public func content(of values: Value.Map) throws -> FileTree {
    var tree = FileTree()
    for (path, value) in values {
      guard let content = FileContent(value) else {
        throw FileProblem(path: path, message: FileStoreRule.noContent)
      }
      tree[path] = content
    }
    return tree
  }

  /// The values. Throws `FileProblem` for a path or a size that the directory cannot have.
  public func values(of content: FileTree) throws -> Value.Map {
    try content.forEach { path, content in
      if let fault = policy.fault(of: path) ?? policy.fault(ofSize: content.bytes.count) {
        throw FileProblem(path: path, message: fault)
      }
    }
    return Value.Map(content.files.mapValues(\.value))
  }

  /// Why a change cannot become a file; nil when it can. O(change).
  public func refusal(of change: StoreChange) -> String? { rule.refusal(of: change) }

  /// More files, or bytes, than the policy allows.
  public func refusal(ofKeys keys: Int, bytes: Int) -> String? { rule.refusal(ofKeys: keys, bytes: bytes) }

  /// They are.
  public var keysAreFilePaths: Bool { rule.keysAreFilePaths }

  /// Shorter ones take less room than a reference.
  public var deduplicationThreshold: Int { 64 }

  // MARK: Its life

  /// Looks at the directory, finishes what an earlier run left undone, tells of edits made since, and follows
  /// commits and directory from then on. Returns when all that is done. Once, after recovery.
  ///
  /// When the log ends before what the mark says was written out, it has lost its end, or is another one: then
  /// all that differs in the directory is an edit.
  ///
  /// - Parameter committed: the number of the last burst of edits that the log has; 0 for none.
  /// - Throws: `FileProblem` when the directory does not exist, or another host has it; `StorageError` when the mark
  ///   cannot be read.
  public func start(_ handlers: Handlers, committed: Int64 = 0) throws {
    _ = try load()
    try writer.start(handlers, committed: committed)
    initial.withLock { $0 = .begun }
  }

  /// A burst of edits, and all before it, have become commits, the last of them this one. Any thread; before or after
  /// `apply` of that commit.
  public func committed(_ edits: FileEdits, seq: Int64) { writer.committed(burst: edits.number, seq: seq) }

  /// Returns when every commit so far is written out, or has become a problem.
  public func flush() { writer.flush() }

  /// Writes out what has come and ends. Safe to call twice. Edits told and not committed are told again by the
  /// next start.
  public func stop() { writer.stop() }
}

extension VersionedStore where Backend == FileStoreBackend {
  /// Starts the backend, and makes one operation of each burst of edits, one after the other. Returns when those
  /// are committed that were made before it: so nothing runs on files of yesterday.
  ///
  /// Register the store, recover, start the queue, and call this.
  ///
  /// - Parameters:
  ///   - committed: a burst of edits has been committed.
  ///   - problems: all that is wrong now, when that has changed; also edits that did not commit.
  /// - Throws: like `FileStoreBackend.start`.
  public func followEdits(
    through queue: TriggerQueue,
    committed: @escaping @Sendable (FileEdits, OperationResult) -> Void = { _, _ in },
    problems: @escaping @Sendable ([FileProblem]) -> Void = { _ in }
  ) async throws {
    let (bursts, incoming) = AsyncStream.makeStream(of: FileEdits?.self)
    try backend.start(
      FileStoreBackend.Handlers(edits: { incoming.yield($0) }, problems: problems),
      committed: try queue.internalStore(FileEdits.committed).get(name)?.intValue ?? 0)
    // Behind the edits made before the start.
    incoming.yield(nil)
    await withCheckedContinuation { continuation in
      Task { [weak self] in
        for await edits in bursts {
          guard let edits else {
            continuation.resume()
            continue
          }
          guard let self else { continue }
          if let result = await commit(edits, through: queue, problems) { committed(edits, result) }
        }
      }
    }
  }

  private func commit(
    _ edits: FileEdits, through queue: TriggerQueue, _ problems: @Sendable ([FileProblem]) -> Void
  ) async -> OperationResult? {
    while true {
      do {
        let result = try await queue.perform(FileEditTrigger(self, edits))
        if result.outcome == .committed {
          backend.committed(edits, seq: result.seq)
          return result
        }
        let reason = result.error ?? "\(result.outcome)"
        problems(
          edits.edits.map { FileProblem(path: $0.path, message: "the edit did not commit: \(reason)") })
        return nil
      } catch is QueueFull {
        await queue.waitForRoom()
      } catch {
        // The queue has stopped: the next start tells of them again.
        return nil
      }
    }
  }
}
