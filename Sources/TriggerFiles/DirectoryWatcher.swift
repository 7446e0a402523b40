import Synchronization
import TriggerCore

/// Follows the files of a directory, at any depth, and tells of each burst of changes once it is over.
///
/// Changes are noticed through inotify; where there is none, and on network mounts, which do not tell, the
/// directory is looked at from time to time (`Options.noticing`). A file counts when its writer has closed it.
/// What editors and file systems keep for themselves (`FilePathPolicy.isTransient`) does not count. Only
/// files whose status has changed are read. A directory that is gone keeps its last files until it is back.
public final class DirectoryWatcher: Sendable {
  /// How changes are noticed.
  public enum Noticing: Sendable, Hashable {
    /// By the system's notification; by looking from time to time where that does not work.
    case automatic
    /// By the system's notification alone.
    case notified
    /// By looking from time to time.
    case polled
  }

  /// What to follow, and how.
  public struct Options: Sendable {
    /// How changes are noticed.
    public var noticing = Noticing.automatic
    /// Between two looks at a directory that does not tell.
    public var pollInterval: Duration = .seconds(1)
    /// A burst is over when nothing has come for this long.
    public var quiet: Duration = .milliseconds(30)
    /// A burst that goes on is told of in parts, the first after this long.
    public var longest: Duration = .milliseconds(500)
    /// Which paths and sizes are good.
    public var policy = FilePathPolicy()
    /// Files of other paths are passed over, unread.
    public var includes: @Sendable (_ path: String) -> Bool = { _ in true }
    /// Where contents are shared with other trees.
    public var contents = ContentStore()

    /// Everything, as it comes.
    public init() {}
  }

  /// The directory after a burst.
  public struct Report: Sendable {
    /// What differs from the last report: of each path its newest state.
    public var changes: FileChanges
    /// The same by kind.
    public var difference: FileDifference
    /// All files.
    public var tree: FileTree
    /// What is wrong now, in the order of the paths. A file with a problem keeps the content it had.
    public var problems: [FileProblem]
  }

  private let loop: WatchLoop

  /// - Parameter path: the directory; it need not exist yet.
  public init(_ path: String, options: Options = Options()) {
    loop = WatchLoop(path, options)
  }

  /// Ends the thread if `stop` did not.
  deinit { loop.stop(waits: false) }

  /// Looks at the directory for the first time, and follows it from then on. Once.
  ///
  /// - Parameter report: called after each burst that changed a file or a problem, in order, on the watcher's
  ///   own thread: nothing is noticed while it runs.
  /// - Returns: what is there now; reports begin where it ends. O(files), and reading all of them. While somebody
  ///   changes what is read it waits for the end of that burst, no longer than `Options.longest`.
  public func start(_ report: @escaping @Sendable (Report) -> Void) -> Report { loop.start(report) }

  /// Ends the following; no report comes after it returned. Safe to call before `start`, twice, and from a
  /// report.
  public func stop() { loop.stop(waits: true) }

  /// Whether the directory is looked at from time to time. Any thread, after `start`.
  public var isPolling: Bool { loop.isPolling.load(ordering: .acquiring) }

  // MARK: For write-outs

  /// Runs a job on the watcher's thread, between bursts, where the index and the directory can be compared.
  ///
  /// - Returns: false when it will not be run: before `start`, and when the thread has ended.
  @discardableResult
  package func perform(
    after delay: Duration = .zero, _ job: @escaping @Sendable (inout DirectoryIndex) -> Void
  ) -> Bool { loop.perform(after: delay, job) }

  /// - Parameter body: called like `report` with our temporary files that others have written to.
  package func onTemporaries(_ body: @escaping @Sendable (Set<String>) -> Void) { loop.onTemporaries(body) }

  /// As if the system had lost all events that are not taken yet, and said so.
  package func overflow() { loop.overflow() }
}
