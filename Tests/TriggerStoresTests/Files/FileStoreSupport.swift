import Foundation
import Synchronization
import Testing
import TriggerCore
import TriggerFiles
import TriggerHost

import TriggerStores

/// A directory that is removed when the value goes away.
final class FilesDirectory: Sendable {
  let path: String

  init(_ files: KeyValuePairs<String, String> = [:]) throws {
    path = NSTemporaryDirectory() + "file-store-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path + "/root", withIntermediateDirectories: true)
    for (name, text) in files { write(name, text) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The directory that is the store.
  var root: String { path + "/root" }
  var mark: String { path + "/mark.sqlite" }

  func callAsFunction(_ name: String) -> String { "\(root)/\(name)" }

  /// Truncates and writes; what does not work (a directory of the name) is left.
  func write(_ name: String, _ text: String) {
    if let slash = name.lastIndex(of: "/") {
      try? FileManager.default.createDirectory(
        atPath: self(String(name[..<slash])), withIntermediateDirectories: true)
    }
    let file = open(self(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    if file < 0 { return }
    Self.write(file, text)
    close(file)
  }

  /// Writes beside and renames: nobody finds it half.
  func save(_ name: String, _ text: String) {
    write(".saved", text)
    rename(self(".saved"), self(name))
  }

  static func write(_ file: Int32, _ text: String) {
    var text = text
    text.withUTF8 { _ = Glibc.write(file, $0.baseAddress, $0.count) }
  }

  func read(_ name: String) -> String? {
    guard case .content(let bytes, _) = readFile(self(name), cap: 1 << 20) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// All files by path, ours too.
  func everything() throws -> [String: String] {
    var texts: [String: String] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: root) {
      if let text = read(name) { texts[name] = text }
    }
    return texts
  }

  /// `path=text`, in the order of the paths.
  func summary() throws -> String {
    try everything().sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
  }
}

/// Stands for the engine and its log: commits that are durable at once, and edits that wait to be committed.
final class FakeHost: @unchecked Sendable {
  // Guarded by the condition, but for `backend`, `seq` and `log`, which are the test's own.
  private let condition = NSCondition()
  private var waiting: [FileEdits] = []
  private var told: [FileProblem] = []
  private(set) var backend: FileStoreBackend
  private(set) var seq: Int64 = 0
  /// Number of the last burst of edits that is in the log.
  private var committed: Int64 = 0
  private(set) var values: Value.Map = [:]
  /// Every content that was committed, by path.
  private(set) var history: [String: Set<String?>] = [:]
  let directory: FilesDirectory
  /// Called when edits are told, before anything else happens.
  private let whenTold: @Sendable () -> Void

  struct Kind: Sendable, CustomTestStringConvertible {
    var noticing = DirectoryWatcher.Noticing.notified
    var exchanges = true
    var strangersQuiet: Int64?
    var testDescription: String { "\(noticing), \(exchanges ? "exchange" : "no exchange")" }
    static let all = [
      Kind(), Kind(noticing: .polled), Kind(exchanges: false), Kind(noticing: .polled, exchanges: false),
    ]
  }
  private let kind: Kind
  private let step: @Sendable (FileStoreStep) throws -> Void

  init(
    _ directory: FilesDirectory, _ kind: Kind = Kind(),
    step: @escaping @Sendable (FileStoreStep) throws -> Void = { _ in },
    whenTold: @escaping @Sendable () -> Void = {}
  ) throws {
    self.directory = directory
    self.whenTold = whenTold
    self.kind = kind
    self.step = step
    backend = try Self.backend(directory, kind, step)
  }

  private static func backend(
    _ directory: FilesDirectory, _ kind: Kind, _ step: @escaping @Sendable (FileStoreStep) throws -> Void
  ) throws -> FileStoreBackend {
    var options = DirectoryWatcher.Options()
    options.noticing = kind.noticing
    options.pollInterval = .milliseconds(5)
    options.quiet = .milliseconds(2)
    options.longest = .milliseconds(20)
    return try FileStoreBackend(
      directory: directory.root, mark: directory.mark, options: options, exchanges: kind.exchanges,
      strangersQuiet: kind.strangersQuiet, step: step)
  }

  /// The errors of a step that fails as a crash would are not the test's.
  func start() throws {
    if seq > 0 { backend.replace(seq: seq, with: values) }
    try backend.start(
      FileStoreBackend.Handlers(
        edits: { [weak self] edits in
          self?.whenTold()
          self?.locked { $0.waiting.append(edits) }
        },
        problems: { [weak self] problems in self?.locked { $0.told = problems } }),
      committed: committed)
  }

  /// The process ends, and starts again: what was not committed is forgotten.
  func restart() throws {
    backend.stop()
    locked { host in
      host.waiting = []
      host.told = []
    }
    backend = try Self.backend(directory, kind, step)
  }

  private func locked(_ body: (FakeHost) -> Void) {
    condition.lock()
    body(self)
    condition.broadcast()
    condition.unlock()
  }

  func commit(_ changes: [String: String?]) {
    commit(values: changes.mapValues { $0.map { .string($0) } })
  }

  func commit(values changes: [String: Value?]) {
    seq += 1
    for (path, value) in changes {
      values[path] = value
      history[path, default: []].insert(value.flatMap { FileContent($0)?.text })
    }
    let sorted = changes.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    backend.apply(seq: seq, sorted.map { StoreChange(key: $0.key, value: $0.value) })
  }

  /// Commits the oldest burst of edits; nil when none comes for so long.
  @discardableResult
  func commitEdits(within seconds: Double = 300) -> FileEdits? {
    guard let edits = take(within: seconds) else { return nil }
    // Nil is a deletion, and a value of the dictionary.
    var changes: [String: Value?] = [:]
    for edit in edits.edits { changes.updateValue(edit.content?.value, forKey: edit.path) }
    for edit in edits.edits { history[edit.path, default: []].insert(edit.content?.text) }
    // The backend may hear of it before the changes come.
    if edits.number % 2 == 0 { backend.committed(edits, seq: seq + 1) }
    commit(values: changes)
    if edits.number % 2 == 1 { backend.committed(edits, seq: seq) }
    committed = edits.number
    return edits
  }

  private func take(within seconds: Double) -> FileEdits? {
    condition.lock()
    defer { condition.unlock() }
    let late = Date(timeIntervalSinceNow: seconds)
    while waiting.isEmpty { if !condition.wait(until: late) { return nil } }
    return waiting.removeFirst()
  }

  var hasEdits: Bool { waitingBursts > 0 }

  /// Bursts that were told and wait to be committed.
  var waitingBursts: Int {
    condition.lock()
    defer { condition.unlock() }
    return waiting.count
  }

  /// The problems, when they hold; nil when they do not in a long time.
  func problems(where holds: ([String]) -> Bool) -> [String]? {
    condition.lock()
    defer { condition.unlock() }
    let late = Date(timeIntervalSinceNow: 300)
    while !holds(told.map(\.description)) { if !condition.wait(until: late) { return nil } }
    return told.map(\.description)
  }

  /// Commits edits until those of this file have come, and writes everything out.
  func commitEdits(through path: String) -> Bool {
    while let edits = commitEdits() {
      backend.flush()
      if edits.edits.contains(where: { $0.path == path }) { break }
    }
    backend.flush()
    while hasEdits {
      commitEdits()
      backend.flush()
    }
    return history[path] != nil
  }

  /// What the store holds, as `FilesDirectory.everything` has it.
  var texts: [String: String] {
    Dictionary(
      uniqueKeysWithValues: values.compactMap { path, value in FileContent(value)?.text.map { (path, $0) } })
  }
}

/// A step of the write-out for `FakeHost`: does something before the first of these, and nothing before the others.
func atFirst(
  _ wanted: FileStoreStep, _ body: @escaping @Sendable () -> Void
) -> @Sendable (FileStoreStep) -> Void {
  let isDone = Atomic<Bool>(false)
  return { step in
    if step == wanted, !isDone.exchange(true, ordering: .relaxed) { body() }
  }
}
