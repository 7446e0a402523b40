import Foundation
import TriggerCore
import TriggerFiles
import TriggerHost
import TriggerSQLite

/// The shell around `WriteOut`: takes commits from any thread, and does everything else on the watcher's.
final class FileStoreWriter: @unchecked Sendable {
  // `mailbox` answers any thread. The mutable fields belong to the caller of `load`, `appliedSeq` and `start`, one
  // thread at a time, and from the end of `start` on to the watcher's thread.
  private let mailbox = FileStoreMailbox()
  private let writer: DirectoryWriter
  private let rule: FileStoreRule
  private let mark: FileMark
  private let lock: DirectoryLock
  private unowned let watcher: DirectoryWatcher

  private var plan = WriteOut()
  /// Bursts of edits that have become commits which the plan does not have yet.
  private var committed: [(burst: Int64, seq: Int64)] = []
  private var handlers = FileStoreBackend.Handlers { _ in }
  private var asides = Asides()
  private var found: [FileProblem] = []
  private var toldProblems: [FileProblem] = []
  /// Between `start` and the end, unless a step has failed as a crash would.
  private var isAlive = false
  private var isRetrying = false
  /// Why the mark cannot be written; nothing is written out or told then.
  private var markFailure: StorageError?
  /// Edits that are planned and not told yet.
  private var untold = UntoldEdits(first: 1)
  private var keptSeq: Int64 = -1
  /// What `load` gave, where there is no mark of an earlier run.
  private var initial: [String: FileContent] = [:]
  private var failure: (any Error)?

  private typealias Aside = DirectoryWriter.Aside
  private typealias ID = FileContent.ID

  /// Before what cannot be done is tried again.
  private static let retryAfter = Duration.seconds(2)

  init(_ writer: DirectoryWriter, mark: FileMark, watcher: DirectoryWatcher) {
    self.writer = writer
    rule = FileStoreRule(writer.policy)
    self.mark = mark
    self.watcher = watcher
    lock = DirectoryLock(writer.root)
  }

  // MARK: Before the start

  /// - Throws: `FileProblem` when another host has the directory.
  func acquireLock() throws(FileProblem) { try lock.hold() }

  /// Without a mark of an earlier run: what the store begins with.
  func loaded(_ tree: FileTree) throws {
    initial = tree.files
    let rows = initial.mapValues { WriteOut.Row(was: $0.id, becomes: $0.id) }
    try mark.update(rows.map { ($0.key, $0.value, []) }, appliedSeq: 0, burst: 0)
  }

  func start(_ handlers: FileStoreBackend.Handlers, committed: Int64) throws {
    self.handlers = handlers
    let state = try mark.state()
    watcher.onTemporaries { [weak self] _ in self?.guarded { try $0.lookAtOpen() } }
    _ = watcher.start { [weak self] report in self?.guarded { try $0.saw(report) } }
    // Reports that come before this are of no interest: it looks at the index as it is then.
    onThread { [self] index in
      guard index.isThere else {
        return failure = FileProblem(
          path: writer.root, message: index.problems[""]?.message ?? "is not there")
      }
      isAlive = true
      found = index.sortedProblems
      guarded { try $0.begin(state, committed: committed, &index) }
    }
    initial = [:]
    guard let failure else { return }
    watcher.stop()
    lock.release()
    throw failure
  }

  /// Finishes what the earlier run left undone, and tells of edits made since.
  private func begin(
    _ state: FileMark.State, committed: Int64, _ index: inout DirectoryIndex
  ) throws {
    let (whole, later) = mailbox.open()
    let (seq, values) = whole ?? (0, Value.Map(initial.mapValues(\.value)))
    var state = state
    if seq < state.appliedSeq { (state.rows, state.told) = ([:], [:]) }
    let left = try lookAtLeft(state.temporaries)
    let bursts = state.told.values.joined().map(\.burst) + [state.burst, committed]
    untold = UntoldEdits(first: bursts.max()! + 1)
    var disk = index.ids
    // What is there and cannot be used now, or has no room any more, is not deleted.
    for (path, row) in state.rows where disk[path] == nil {
      let status = FileStatus.of(index.full(path), followsLinks: false)
      if status != nil, status?.kind != .directory { disk[path] = row.becomes }
    }
    let edits = plan.begin(
      store: contents(of: values), seq: seq, committed: committed, rows: state.rows, told: state.told,
      disk: disk,
      left: left.map { aside, content in
        let temporary = state.temporaries[aside.temporary]
        return WriteOut.Left(
          path: aside.path, content: content.id, ours: [temporary?.was, temporary?.becomes])
      },
      movedAside: Set(left.map(\.aside).filter { $0.name.hasSuffix(".old") }.map(\.path)))
    for place in edits.left {
      asides.keep(left[place].aside, for: .commit(left[place].content.id))
      edited(left[place].aside.path, left[place].content)
    }
    for path in edits.edited { edited(path, index.tree[path]) }
    for item in left where asides[item.aside] == nil { try drop(item.aside) }
    for name in state.temporaries.keys { asides.ended(name) }
    try tell()
    for commit in later { apply(commit) }
    try writeOut(&index)
    // The store has them.
    index.forgetContents()
  }

  /// The store's content at the start; what is no file is refused.
  private func contents(of values: Value.Map) -> [String: FileContent] {
    var contents: [String: FileContent] = [:]
    for (path, value) in values {
      if rule.refusal(of: StoreChange(key: path, value: value)) == nil {
        contents[path] = FileContent(value)
      }
    }
    return contents
  }

  /// What writes that did not end have left.
  private func lookAtLeft(
    _ temporaries: [String: FileMark.Temporary]
  ) throws -> [(aside: Aside, content: FileContent)] {
    var left: [(aside: Aside, content: FileContent)] = []
    for (name, temporary) in temporaries.sorted(by: { $0.key < $1.key }) {
      func aside(_ suffix: String) -> Aside {
        Aside(path: temporary.path, temporary: name, name: name + suffix)
      }
      try writer.drop(aside(".new"))
      for aside in [aside(""), aside(".old")] {
        switch try writer.look(at: aside) {
        case .content(let content?): left.append((aside, content))
        case .content(nil): break
        case .link: try writer.drop(aside)
        case .stillOpen: asides.keep(aside, for: .writer(expected: temporary.was))
        case .unusable(let message): asides.keep(aside, for: .anybody(message))
        }
      }
    }
    return left
  }

  // MARK: Any thread

  func apply(seq: Int64, _ changes: [StoreChange]) { post(.changes(seq: seq, changes)) }

  func replace(seq: Int64, _ content: Value.Map) { post(.whole(seq: seq, content)) }

  func committed(burst: Int64, seq: Int64) { post(.edits(burst: burst, seq: seq)) }

  private func post(_ commit: FileStoreMailbox.Commit) { if mailbox.post(commit) { schedule() } }

  func flush() { onThread { [self] index in guarded { try $0.writeOut(&index) } } }

  func stop() {
    onThread { [self] index in
      guarded { writer in
        try writer.writeOut(&index)
        try writer.lookAtOpen()
      }
      isAlive = false
    }
    watcher.stop()
    lock.release()
  }

  /// Runs a job on the watcher's thread and waits for it; does nothing when there is no such thread.
  private func onThread(_ job: @escaping @Sendable (inout DirectoryIndex) -> Void) {
    let done = DispatchSemaphore(value: 0)
    let isRun = watcher.perform { index in
      job(&index)
      done.signal()
    }
    if isRun { done.wait() }
  }

  private func schedule(after delay: Duration = .zero, retries: Bool = false) {
    watcher.perform(after: delay) { [weak self] index in
      self?.guarded { writer in
        if retries {
          writer.isRetrying = false
          writer.plan.retry()
          try writer.lookAtOpen()
        }
        try writer.writeOut(&index)
      }
    }
  }

  // MARK: The watcher's thread

  private func guarded(_ body: (FileStoreWriter) throws -> Void) {
    guard isAlive else { return }
    do { try body(self) } catch let error as StorageError {
      failure = error
      markFailure = error
      tellProblems()
      retryLater()
    } catch {
      isAlive = false
      failure = error
      let message = "nothing is written out or taken up any more: \(error)"
      handlers.problems(toldProblems + [FileProblem(path: "", message: message)])
    }
  }

  private func retryLater() {
    if isRetrying { return }
    isRetrying = true
    schedule(after: Self.retryAfter, retries: true)
  }

  private func saw(_ report: DirectoryWatcher.Report) throws {
    found = report.problems
    plan.retry()
    for path in report.changes.paths {
      let content = report.changes[path]?.content
      if plan.saw(path, content?.id) { edited(path, content) }
    }
    try tell()
    schedule()
  }

  private func apply(_ commit: FileStoreMailbox.Commit) {
    switch commit {
    case .changes(let seq, let changes): apply(seq, changes)
    case .whole(let seq, let values):
      let gone = plan.paths.filter { values[$0] == nil }.map { StoreChange(key: $0, value: nil) }
      apply(seq, gone + values.map { StoreChange(key: $0.key, value: $0.value) })
    case .edits(let burst, let seq): committed.append((burst, seq))
    }
    // After the changes that a burst made: until then the file differs from the store because of it.
    while let first = committed.first, first.seq <= plan.newest {
      plan.committed(burst: first.burst)
      committed.removeFirst()
    }
  }

  private func apply(_ seq: Int64, _ changes: [StoreChange]) {
    for change in changes {
      if let reason = rule.refusal(of: change) {
        plan.refuse(seq: seq, path: change.key, because: reason)
      } else {
        plan.commit(seq: seq, path: change.key, change.value.flatMap { FileContent($0) })
      }
    }
    plan.reached(seq)
  }

  private func writeOut(_ index: inout DirectoryIndex) throws {
    // Another directory may have come in the place of the one that is locked.
    try lock.hold()
    for commit in mailbox.take() { apply(commit) }
    for (aside, waiting) in asides.kept {
      if case .commit(let content) = waiting, !plan.isTold(aside.path, content) { try drop(aside) }
    }
    try write(plan.writes(), &index)
    try tell()
    tellProblems()
    if asides.hasOpen || !plan.blocked.isEmpty { retryLater() }
  }

  private func write(_ writes: [WriteOut.Write], _ index: inout DirectoryIndex) throws {
    if writes.isEmpty { return }
    let temporaries = writes.map { _ in TemporaryName.make() }
    try writer.step(.mark)
    try mark.begin(
      writes.map { ($0.path, plan.intent($0)) },
      temporaries: Dictionary(
        uniqueKeysWithValues: zip(temporaries, writes).map { name, write in
          (name, FileMark.Temporary(path: write.path, was: write.expected, becomes: write.content?.id))
        }))
    markFailure = nil
    for (write, temporary) in zip(writes, temporaries) {
      try perform(write, temporary, &index)
      asides.ended(temporary)
    }
    // Once what is written lasts, the mark may say that nothing else is ours.
    for directory in Set(writes.map { DirectoryIndex.directory(of: $0.path) }) {
      writer.sync(directory: directory)
    }
  }

  private func perform(
    _ write: WriteOut.Write, _ temporary: String, _ index: inout DirectoryIndex
  ) throws {
    if write.content != nil, write.expected == nil, let other = index.clash(of: write.path) {
      return plan.failed(
        write.path, because: "not written: it differs from \(other) only by case or Unicode form")
    }
    do {
      let aside = try writer.put(write, temporary: temporary)
      guard let displaced = try look(at: aside, write) else { return }
      index.replaced(write.path, by: write.content)
      if plan.wrote(write, displaced: displaced.id) {
        if let aside { asides.keep(aside, for: .commit(displaced.id)) }
        edited(write.path, displaced.content)
      } else if let aside, asides[aside] == nil {
        try drop(aside)
      }
    } catch let failure as DirectoryWriter.Failure {
      plan.failed(write.path, because: failure.message)
      // It may have moved the file aside, or something that has come in between.
      try examine(
        Aside(path: write.path, temporary: temporary, name: temporary + ".old"), expected: write.expected)
      try examine(
        Aside(path: write.path, temporary: temporary, name: temporary), expected: write.content?.id)
    }
  }

  /// What a write has displaced; nil when it was put back.
  private func look(
    at aside: Aside?, _ write: WriteOut.Write
  ) throws -> (id: ID?, content: FileContent?)? {
    guard let aside else { return (nil, nil) }
    switch try writer.look(at: aside) {
    case .content(let content): return (content?.id, content)
    case .link: return (write.expected, nil)
    case .stillOpen:
      asides.keep(aside, for: .writer(expected: write.expected))
      return (write.expected, nil)
    case .unusable(let message):
      plan.failed(write.path, because: "not written: what somebody has put there \(message)")
      if try !writer.putBack(aside) { asides.keep(aside, for: .anybody(message)) }
      // Aside is now what was there until then: ours, or what somebody has put in its place.
      for name in [aside.temporary, aside.temporary + ".old"] {
        let other = Aside(path: aside.path, temporary: aside.temporary, name: name)
        if asides[other] == nil { try examine(other, expected: write.content?.id) }
      }
      return nil
    }
  }

  /// Looks at what somebody had open when it was displaced.
  private func lookAtOpen() throws {
    for (aside, waiting) in asides.kept {
      if case .writer(let expected) = waiting { try examine(aside, expected: expected) }
    }
    try tell()
  }

  /// What is aside is told when it is an edit, kept while it may become one, and goes when it is neither.
  private func examine(_ aside: Aside, expected: ID?) throws {
    switch try writer.look(at: aside) {
    case .stillOpen: asides.keep(aside, for: .writer(expected: expected))
    case .unusable(let message): asides.keep(aside, for: .anybody(message))
    case .content(let content?) where content.id != expected:
      asides.keep(aside, for: .commit(content.id))
      edited(aside.path, content)
    case .content, .link: try drop(aside)
    }
  }

  private func drop(_ aside: Aside) throws {
    try writer.drop(aside)
    writer.removeEmptyDirectories(above: aside.path)
    asides.remove(aside)
  }

  // MARK: Telling

  /// Plans an edit to be told.
  private func edited(_ path: String, _ content: FileContent?) {
    let burst = untold.add(FileEdit(path: path, content: content))
    plan.tell(path, content?.id, burst: burst)
  }

  /// Keeps what has changed, then tells of edits: so it is known later which of them have become commits.
  private func tell() throws {
    try keepMark()
    if untold.isEmpty { return }
    let bursts = untold.take()
    try writer.step(.tell)
    for edits in bursts { handlers.edits(edits) }
  }

  private func keepMark() throws {
    let outdated = plan.takeOutdated()
    let seq = plan.appliedSeq
    let gone = asides.forgettable()
    if outdated.isEmpty, gone.isEmpty, seq == keptSeq { return }
    try writer.step(.mark)
    do {
      try mark.update(outdated, gone: gone, appliedSeq: seq, burst: untold.newest)
    } catch {
      plan.keepLater(outdated.map(\.path))
      throw error
    }
    asides.forgotten()
    keptSeq = seq
    markFailure = nil
  }

  private func tellProblems() {
    var problems = found
    problems += plan.blocked.map { FileProblem(path: $0.key, message: $0.value) }
    problems += plan.refused.map { FileProblem(path: $0.key, message: "not written: \($0.value)") }
    if let markFailure {
      problems.append(FileProblem(path: "", message: "nothing is written out or taken up: \(markFailure)"))
    }
    problems += asides.problems
    problems.sort { ($0.path, $0.message) < ($1.path, $1.message) }
    if problems == toldProblems { return }
    toldProblems = problems
    handlers.problems(problems)
  }
}
