import CTriggerFiles
import Foundation
import Synchronization
import TriggerCore

/// The thread of a `DirectoryWatcher`: waits for events, jobs and due times, and lets the machines decide.
final class WatchLoop: @unchecked Sendable {
  // The fields below "thread's own" belong to the caller of `start` until the thread runs, then to the thread.
  // All others are constant or guarded by `mailbox`.
  typealias Report = DirectoryWatcher.Report
  typealias Job = @Sendable (inout DirectoryIndex) -> Void

  private struct Mailbox {
    var jobs: [(due: Int64, job: Job)] = []
    var isStopping = false
    /// From the start to the end of the thread.
    var isRunning = false
    var hasRun = false
    var isOverflown = false
    var onTemporaries: (@Sendable (Set<String>) -> Void)?
    var thread: pthread_t?
  }
  private let mailbox = Mutex(Mailbox())
  private let ended = DispatchSemaphore(value: 0)
  private let wake = WakePipe()
  let isPolling = Atomic<Bool>(false)
  private let options: DirectoryWatcher.Options

  // Thread's own.
  private var index: DirectoryIndex
  private var source: EventSource?
  private var settling: Settling
  private var pollDue: Int64 = .max
  private var lastPeek: DirectoryIndex.Peek?
  private var toldProblems: [FileProblem] = []
  /// Since when a report is held back, as the directory changed while it was read.
  private var heldSince: Int64?
  private var notice: FileProblem?
  private var report: @Sendable (Report) -> Void = { _ in }

  /// How often a directory that is gone is looked for.
  private static let lookForRoot: Int64 = 100_000_000

  init(_ path: String, _ options: DirectoryWatcher.Options) {
    self.options = options
    index = DirectoryIndex(
      path, policy: options.policy, contents: options.contents, includes: options.includes)
    settling = Settling(quiet: options.quiet, longest: options.longest)
  }

  // MARK: Any thread

  func start(_ report: @escaping @Sendable (Report) -> Void) -> Report {
    self.report = report
    chooseSource()
    let first = firstReport()
    toldProblems = first.problems
    let thread = Thread { [self] in run() }
    thread.name = "watcher"
    let isStopped = mailbox.withLock { mailbox in
      mailbox.isRunning = !mailbox.isStopping
      mailbox.hasRun = mailbox.isRunning
      return mailbox.isStopping
    }
    if !isStopped { thread.start() }
    return first
  }

  /// What is there at first; while somebody saves, what is there after that.
  private func firstReport() -> Report {
    if let report = report(of: .everything) { return report }
    while true {
      if let report = waitForReport() { return report }
      // Nobody will need the rest.
      if mailbox.withLock({ $0.isStopping }) { return look(Dirt()) }
    }
  }

  func stop(waits: Bool) {
    let (hasRun, isOwnThread) = mailbox.withLock { mailbox in
      mailbox.isStopping = true
      return (mailbox.hasRun, mailbox.thread.map { pthread_equal($0, pthread_self()) != 0 } ?? false)
    }
    wake.signal()
    guard waits, hasRun, !isOwnThread else { return }
    ended.wait()
    ended.signal()
  }

  func perform(after delay: Duration, _ job: @escaping Job) -> Bool {
    let due = delay == .zero ? 0 : Self.now() + delay.nanoseconds
    let isRunning = mailbox.withLock { mailbox in
      if mailbox.isRunning { mailbox.jobs.append((due, job)) }
      return mailbox.isRunning
    }
    wake.signal()
    return isRunning
  }

  func onTemporaries(_ body: @escaping @Sendable (Set<String>) -> Void) {
    mailbox.withLock { $0.onTemporaries = body }
  }

  func overflow() {
    mailbox.withLock { $0.isOverflown = true }
    wake.signal()
  }

  // MARK: The watcher's thread

  private func run() {
    mailbox.withLock { $0.thread = pthread_self() }
    while true {
      let report = waitForReport()
      if mailbox.withLock({ $0.isStopping }) { break }
      if let report { tell(report) }
      runJobs(at: Self.now())
    }
    // Jobs that somebody waits for; none comes after that.
    while true {
      runJobs(at: 0)
      let isOver = mailbox.withLock { mailbox in
        mailbox.isRunning = mailbox.jobs.contains { $0.due == 0 }
        return !mailbox.isRunning
      }
      if isOver { break }
    }
    source = nil
    ended.signal()
  }

  private func nextDue() -> Int64 {
    let jobs = mailbox.withLock { $0.jobs.map(\.due).min() } ?? .max
    return min(settling.deadline ?? .max, pollDue, jobs)
  }

  private func handleEvents(at now: Int64) {
    let isOverflown = mailbox.withLock { mailbox in
      defer { mailbox.isOverflown = false }
      return mailbox.isOverflown
    }
    guard let source else { return }
    if isOverflown {
      // What the system would have dropped.
      _ = source.events()
      settling.touched(.everything, at: now)
    }
    for dirt in source.events() { settling.touched(dirt, at: now) }
    if source.isExhausted { startPolling(because: "the system has no more inotify watches (see fs.inotify)") }
  }

  private func pollIfDue(at now: Int64) {
    guard now >= pollDue else { return }
    guard isPolling.load(ordering: .relaxed) else {
      // Only the root is looked for.
      if FileStatus.of(index.root)?.kind == .directory { settling.touched(.everything, at: now) }
      pollDue = now + Self.lookForRoot
      return
    }
    // The burst is over when two looks, `quiet` apart, show the same.
    let peek = index.peek()
    if peek != lastPeek { settling.touched(peek.dirt, at: now) }
    lastPeek = peek
    pollDue = now + (settling.isIdle ? options.pollInterval : options.quiet).nanoseconds
  }

  /// Returns at the next thing that happens or is due: with a report when a burst is over and was read whole.
  private func waitForReport() -> Report? {
    wake.wait(and: source?.file, until: nextDue())
    if mailbox.withLock({ $0.isStopping }) { return nil }
    let now = Self.now()
    handleEvents(at: now)
    pollIfDue(at: now)
    return settling.settled(at: now).flatMap { report(of: $0) }
  }

  /// Looks at what may have changed. What has changed while files were read belongs to it: otherwise it would be a
  /// mixture of old and new files that never stood beside each other. Nil: it is told with what comes.
  private func report(of dirt: Dirt) -> Report? {
    if !dirt.temporaries.isEmpty { mailbox.withLock { $0.onTemporaries }?(dirt.temporaries) }
    let report = look(dirt)
    let now = Self.now()
    handleEvents(at: now)
    let start = heldSince ?? now
    heldSince = settling.isIdle || now - start >= options.longest.nanoseconds ? nil : start
    return heldSince == nil ? report : nil
  }

  private func tell(_ report: Report) {
    let isNews = !report.changes.isEmpty || report.problems != toldProblems
    toldProblems = report.problems
    if isNews { self.report(report) }
  }

  private func look(_ dirt: Dirt) -> Report {
    let refreshed = index.refresh(dirt, continues: heldSince != nil)
    if !refreshed.torn.isEmpty { settling.touched(Dirt(paths: refreshed.torn), at: Self.now()) }
    lastPeek = nil
    if isPolling.load(ordering: .relaxed) {
      let peek = index.peek()
      settling.touched(peek.dirt, at: Self.now())
    } else {
      pollDue = index.isThere ? .max : Self.now() + Self.lookForRoot
    }
    return Report(
      changes: refreshed.changes, difference: refreshed.difference, tree: index.tree,
      problems: index.sortedProblems + (notice.map { [$0] } ?? []))
  }

  private func runJobs(at now: Int64) {
    let due = mailbox.withLock { mailbox in
      let due = mailbox.jobs.filter { $0.due <= now }
      mailbox.jobs.removeAll { $0.due <= now }
      return due
    }
    for item in due { item.job(&index) }
  }

  // MARK: Noticing

  private func chooseSource() {
    switch options.noticing {
    case .polled: return startPolling(because: nil)
    case .automatic:
      if let kind = NetworkMount.kind(of: index.root) {
        return startPolling(because: "a mount of type \(kind) does not tell of changes")
      }
    case .notified: break
    }
    source = EventSource(root: index.root, includes: options.includes)
    index.observer = source
    if source == nil { startPolling(because: "the system has no more inotify instances (see fs.inotify)") }
  }

  private func startPolling(because reason: String?) {
    source = nil
    index.observer = nil
    isPolling.store(true, ordering: .releasing)
    pollDue = Self.now() + options.pollInterval.nanoseconds
    guard let reason, options.noticing != .polled else { return }
    notice = FileProblem(
      path: "", message: "changes are looked for every \(TimeSpan.format(options.pollInterval)): \(reason)",
      severity: .warning)
  }

  /// Nanoseconds of a clock that does not go back.
  static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

/// Mounts whose changes, made elsewhere, the system does not learn of.
private enum NetworkMount {
  /// As in linux/magic.h and the file systems' own headers.
  private static let kinds: [UInt32: String] = [
    0x6969: "NFS", 0x517B: "SMB", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB", 0x6573_5546: "FUSE",
    0x0102_1997: "9P", 0x00C3_6400: "Ceph", 0x5346_414F: "AFS", 0x786F_4256: "vboxsf", 0xBACB_ACBC: "vmhgfs",
    0x0BD0_0BD0: "Lustre", 0x1983_0326: "BeeGFS",
  ]

  static func kind(of path: String) -> String? { kinds[UInt32(truncatingIfNeeded: tf_file_system(path))] }
}
