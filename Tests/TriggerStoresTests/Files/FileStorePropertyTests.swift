import Foundation
import Synchronization
import TestSupport
import Testing
import TriggerCore
import TriggerFiles

import TriggerStores

/// Random commits, random edits from outside, also in the middle of writes, random crashes: in the end the
/// directory holds what the store holds, and every edit is in the history.
///
/// `SEED=1 ROUNDS=100 swift test --filter FileStorePropertyTests` makes it longer.
@Suite(.serialized) struct FileStorePropertyTests {
  private static let environment = ProcessInfo.processInfo.environment
  private static let rounds = environment["ROUNDS"].flatMap { Int($0) } ?? 8

  @Test(arguments: FakeHost.Kind.all) func property(_ kind: FakeHost.Kind) throws {
    let seed = testSeed()
    for round in 0..<Self.rounds {
      var world = try World(kind, seed: seed &+ UInt64(round))
      try world.run(steps: 60)
      for failure in try world.settle() { Issue.record("seed \(seed), round \(round): \(failure)") }
    }
  }
}

/// Somebody who edits files, and knows which of his contents others have replaced, and which he has himself.
private final class Editor: @unchecked Sendable {
  // Guarded by the lock.
  private let lock = NSLock()
  private var random: SplitMix64
  private var count = 0
  private var made: [(path: String, text: String)] = []
  private var replacedByHimself: Set<String> = []
  private var open: [(path: String, file: Int32)] = []
  /// Open files that have no name any more, because of him.
  private var removedByHimself: Set<Int32> = []
  let directory: FilesDirectory

  init(_ directory: FilesDirectory, seed: UInt64) {
    self.directory = directory
    random = SplitMix64(seed: seed)
  }

  /// One edit, of this path or any.
  func edit(_ given: String? = nil) {
    lock.lock()
    defer { lock.unlock() }
    let path = given ?? World.paths.randomElement(using: &random)!
    count += 1
    let text = "edit \(count)"
    switch Int.random(in: 0..<6, using: &random) {
    case 0, 1: replacing(path) { directory.write(path, text) }
    case 2:
      directory.write(path + ".tmp", text)
      replacing(path) { _ = rename(directory(path + ".tmp"), directory(path)) }
    case 3: return replacing(path) { unlink(directory(path)) }
    case 4:
      // Truncated now, written later.
      return replacing(path) {
        let file = Glibc.open(directory(path), O_RDWR | O_TRUNC | O_CLOEXEC)
        if file >= 0 { open.append((path, file)) }
      }
    default: return closeOne()
    }
    if directory.read(path) != nil { made.append((path, text)) }
  }

  private func closeOne() {
    guard !open.isEmpty else { return }
    let (path, file) = open.removeFirst()
    let text = "late \(count)"
    if case .content(let bytes, _) = readFile("/proc/self/fd/\(file)", cap: 1 << 20) {
      replacedByHimself.insert(String(decoding: bytes, as: UTF8.self))
    }
    ftruncate(file, 0)
    FilesDirectory.write(file, text)
    made.append((path, text))
    if removedByHimself.remove(file) != nil { replacedByHimself.insert(text) }
    close(file)
  }

  /// What is there goes by his own hand; so does what he has open there.
  private func replacing(_ path: String, _ body: () -> Void) {
    if let text = directory.read(path) { replacedByHimself.insert(text) }
    let there = FileStatus.of(directory(path))?.identity
    body()
    for (_, file) in open where FileStatus.of(file)?.identity == there {
      if FileStatus.of(file)?.names == 0 { removedByHimself.insert(file) }
    }
  }

  func finish() {
    lock.lock()
    defer { lock.unlock() }
    while !open.isEmpty { closeOne() }
  }

  /// Contents that must be in a history.
  var mustBeKnown: [(path: String, text: String)] {
    lock.lock()
    defer { lock.unlock() }
    return made.filter { !replacedByHimself.contains($0.text) }
  }
}

private struct World {
  static let paths = ["a", "b", "dir/a", "dir/sub/b"]

  private let directory: FilesDirectory
  private let editor: Editor
  private let host: FakeHost
  private var random: SplitMix64
  private var count = 0
  private let plans: Plans

  /// What is to happen at which of the coming steps of the write-out.
  private final class Plans: Sendable {
    struct State {
      var crashIn: Int?
      var editIn: Int?
      var hasCrashed = false
    }
    let state = Mutex(State())
  }

  init(_ kind: FakeHost.Kind, seed: UInt64) throws {
    random = SplitMix64(seed: seed)
    directory = try FilesDirectory(["a": "first", "dir/a": "first"])
    let editor = Editor(directory, seed: seed ^ 1)
    self.editor = editor
    let plans = Plans()
    self.plans = plans
    host = try FakeHost(directory, kind) { step in
      let (crashes, edits) = plans.state.withLock { state in
        if state.hasCrashed { return (true, false) }
        state.crashIn = state.crashIn.map { $0 - 1 }
        state.editIn = state.editIn.map { $0 - 1 }
        state.hasCrashed = state.crashIn.map { $0 <= 0 } ?? false
        defer { if state.editIn == 0 { state.editIn = nil } }
        return (state.hasCrashed, state.editIn == 0)
      }
      if crashes { throw Crash() }
      if edits { editor.edit(step.path) }
    }
  }

  mutating func run(steps: Int) throws {
    try start()
    for _ in 0..<steps {
      switch Int.random(in: 0..<12, using: &random) {
      case 0..<4: commit()
      case 4..<6: editor.edit()
      case 6: host.commitEdits(within: 0.01)
      case 7: host.backend.flush()
      case 8: plan { $0.editIn = $1 }
      case 9: plan { $0.crashIn = $1 }
      case 10:
        while host.hasEdits { host.commitEdits() }
      default:
        if hasCrashed || Int.random(in: 0..<4, using: &random) == 0 { try restart() }
      }
    }
  }

  private var hasCrashed: Bool { plans.state.withLock { $0.hasCrashed } }

  private mutating func plan(_ change: (inout Plans.State, Int) -> Void) {
    let steps = Int.random(in: 1...12, using: &random)
    plans.state.withLock { change(&$0, steps) }
  }

  private func start() throws {
    do { try host.start() } catch is Crash {}
  }

  private mutating func restart() throws {
    let isEdited = Bool.random(using: &random)
    try restart { if isEdited { editor.edit() } }
  }

  private func restart(_ meanwhile: () -> Void) throws {
    try host.restart()
    plans.state.withLock { $0 = Plans.State() }
    meanwhile()
    try start()
  }

  private mutating func commit() {
    var changes: [String: String?] = [:]
    for _ in 0...Int.random(in: 0...2, using: &random) {
      count += 1
      let path = Self.paths.randomElement(using: &random)!
      changes.updateValue(Int.random(in: 0..<4, using: &random) == 0 ? nil : "commit \(count)", forKey: path)
    }
    host.commit(changes)
  }

  /// Lets everything come to rest.
  ///
  /// - Returns: what is wrong then.
  mutating func settle() throws -> [String] {
    // The first ends the run, whose steps may still edit; a crash in its start is made good by the second.
    try restart()
    plans.state.withLock { $0 = Plans.State() }
    try restart { editor.finish() }
    directory.save("end", "end")
    var failures: [String] = []
    if !host.commitEdits(through: "end") { failures.append("the last edit is not told") }
    host.backend.stop()
    let disk = try directory.everything()
    if disk != host.texts { failures.append("the directory has \(disk), the store \(host.texts)") }
    for (path, text) in editor.mustBeKnown where host.history[path]?.contains(text) != true {
      failures.append("\(path): '\(text)' is lost")
    }
    return failures
  }
}

extension FileStoreStep {
  /// The path that is about to change.
  fileprivate var path: String? {
    switch self {
    case .exchange(let path), .remove(let path), .look(let path), .fallBack(let path), .write(let path): path
    default: nil
    }
  }
}
