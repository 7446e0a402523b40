import Foundation
import Synchronization
import Testing
import TriggerCore
import TriggerFiles
import TriggerHost

@testable import TriggerStores

/// Edits from outside: none is lost, none is told twice, whatever the host is doing at that moment.
@Suite struct FileEditTests {
  private enum Save: CaseIterable {
    case truncated, renamed, removed

    var content: FileContent? { self == .removed ? nil : FileContent("mine") }

    func run(in directory: FilesDirectory) {
      switch self {
      case .truncated: directory.write("a", "mine")
      case .renamed:
        directory.write(".a.new", "mine")
        rename(directory(".a.new"), directory("a"))
      case .removed: unlink(directory("a"))
      }
    }
  }

  /// Two columns: the write-out, and somebody who saves in between.
  ///
  ///     store: a = 2                      disk: a = 1
  ///     new content written aside
  ///                                       saves a = mine
  ///     exchange: displaces mine
  ///     told as an edit; its commit is later in order, so a = mine in the end
  @Test(arguments: FakeHost.Kind.all) func anEditInBetweenIsNotLost(_ kind: FakeHost.Kind) throws {
    for save in Save.allCases {
      let directory = try FilesDirectory(["a": "1"])
      let host = try FakeHost(directory, kind, step: atFirst(.exchange("a")) { save.run(in: directory) })
      try host.start()
      host.commitEdits()
      host.commit(["a": "2"])
      host.backend.flush()
      #expect(directory.read("a") == "2", "\(save)")
      let edits = host.commitEdits()
      #expect(edits?.edits == [FileEdit(path: "a", content: save.content)], "\(save)")
      host.backend.flush()
      #expect(directory.read("a") == save.content?.text, "\(save)")
      #expect(host.texts["a"] == save.content?.text)
      host.backend.stop()
      #expect(try directory.everything().count == (save.content == nil ? 0 : 1), "nothing of ours stays")
    }
  }

  /// Where files cannot be exchanged, for a moment nothing has the name: who takes it then has been quicker.
  @Test func whoTakesTheNameMeanwhileKeepsIt() throws {
    let directory = try FilesDirectory(["a": "1"])
    let host = try FakeHost(
      directory, FakeHost.Kind(exchanges: false),
      step: atFirst(.fallBack("a")) { directory.write("a", "mine") })
    try host.start()
    host.commitEdits()
    host.commit(["a": "2"])
    host.backend.flush()
    #expect(directory.read("a") == "mine")
    #expect(host.commitEdits()?.edits == [FileEdit(path: "a", content: FileContent("mine"))])
    host.backend.stop()
    #expect(try directory.summary() == "a=mine")
  }

  /// Somebody has the file open, the write-out displaces it, and he writes into what is displaced.
  @Test(arguments: FakeHost.Kind.all) func anOpenFileIsWaitedFor(_ kind: FakeHost.Kind) throws {
    let directory = try FilesDirectory(["a": "1"])
    let opened = Mutex<Int32?>(nil)
    let host = try FakeHost(directory, kind) { step in
      // Not before: who looks from time to time would see it truncated.
      guard step == .exchange("a") else { return }
      opened.withLock { $0 = $0 ?? open(directory("a"), O_WRONLY | O_TRUNC) }
    }
    try host.start()
    host.commitEdits()
    host.commit(["a": "2"])
    host.backend.flush()
    #expect(directory.read("a") == "2" && !host.hasEdits)
    let file = try #require(opened.withLock { $0 })
    FilesDirectory.write(file, "mine")
    close(file)
    #expect(host.commitEdits()?.edits == [FileEdit(path: "a", content: FileContent("mine"))])
    host.backend.flush()
    #expect(directory.read("a") == "mine")
    host.backend.stop()
    #expect(try directory.summary() == "a=mine")
  }

  /// As above, when the system does not say that he has it open, since the file is another user's.
  @Test func anOpenFileOfAnotherUserIsWaitedFor() throws {
    let directory = try FilesDirectory(["a": "1"])
    // Shorter than the time after which it looks again, and longer than the machine may hold up what comes next.
    let host = try FakeHost(directory, FakeHost.Kind(strangersQuiet: 1_500_000_000))
    try host.start()
    host.commitEdits()
    let file = open(directory("a"), O_WRONLY | O_TRUNC)
    host.commit(["a": "2"])
    host.backend.flush()
    FilesDirectory.write(file, "mine")
    close(file)
    #expect(host.commitEdits()?.edits == [FileEdit(path: "a", content: FileContent("mine"))])
    host.backend.flush()
    #expect(directory.read("a") == "mine")
    host.backend.stop()
  }

  /// What a write displaces cannot be kept by the store, and goes back. What somebody has put in its place meanwhile is
  /// an edit like others.
  ///
  ///     store: a = 2                      disk: a = 1
  ///     new content written aside
  ///                                       saves a too large
  ///     exchange: displaces that
  ///                                       saves a = mine
  ///     what was displaced goes back: displaces mine, which is told
  @Test(arguments: [true, false]) func whatComesWhileAFileGoesBackIsNotLost(exchanges: Bool) throws {
    let directory = try FilesDirectory(["a": "1"])
    let saves = Mutex(0)
    let host = try FakeHost(directory, FakeHost.Kind(exchanges: exchanges)) { step in
      saves.withLock { saves in
        if saves == 0, step == .exchange("a") {
          directory.write("a", String(repeating: "x", count: 2 << 20))
        } else if saves == 1, step == .look("a") {
          directory.write(".mine", "mine")
          rename(directory(".mine"), directory("a"))
        } else {
          return
        }
        saves += 1
      }
    }
    try host.start()
    host.commitEdits()
    host.commit(["a": "2"])
    host.backend.flush()
    #expect(host.commitEdits(through: "a") && host.history["a"]?.contains("mine") == true)
    #expect(host.problems { $0.contains("a: larger than 1048560 bytes") } != nil)
    host.backend.stop()
    #expect(FileStatus.of(directory("a"))?.size == 2 << 20)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.root) == ["a"])
  }

  /// A directory takes the place of a file that is about to be removed, with files in it.
  @Test(arguments: [true, false]) func aDirectoryGoesBack(exchanges: Bool) throws {
    let directory = try FilesDirectory(["a": "1"])
    let host = try FakeHost(
      directory, FakeHost.Kind(exchanges: exchanges),
      step: atFirst(.remove("a")) {
        unlink(directory("a"))
        directory.write("a/in", "theirs")
      })
    try host.start()
    host.commitEdits()
    host.commit(["a": nil])
    host.backend.flush()
    #expect(host.commitEdits(through: "a/in"))
    host.backend.stop()
    #expect(try directory.summary() == "a/in=theirs")
  }

  /// As above, when the host ends before he writes.
  @Test func anOpenFileOutlivesTheHost() throws {
    let directory = try FilesDirectory(["a": "1"])
    let host = try FakeHost(directory)
    try host.start()
    host.commitEdits()
    let file = open(directory("a"), O_WRONLY)
    host.commit(["a": "2"])
    host.backend.flush()
    try host.restart()
    FilesDirectory.write(file, "mine")
    try host.start()
    #expect(!host.hasEdits)
    close(file)
    #expect(host.commitEdits()?.edits == [FileEdit(path: "a", content: FileContent("mine"))])
    host.backend.stop()
    #expect(try directory.summary() == "a=mine")
  }

  /// An edit whose commit was overtaken by others before the host ended is not told again.
  @Test func committedEditsAreNotToldAgain() throws {
    let directory = try FilesDirectory(["a": "1"])
    let isStopped = Mutex(false)
    let host = try FakeHost(directory) { _ in if isStopped.withLock({ $0 }) { throw Crash() } }
    try host.start()
    host.commitEdits()
    host.backend.flush()
    directory.save("a", "mine")
    while !host.hasEdits { host.backend.flush() }
    isStopped.withLock { $0 = true }
    host.commitEdits()
    host.commit(["a": "2"])
    try host.restart()
    isStopped.withLock { $0 = false }
    try host.start()
    #expect(!host.hasEdits && directory.read("a") == "2")
    host.backend.stop()
  }

  /// As above, when the host ends in the very moment in which it has told of the edit.
  @Test func anEditIsKeptBeforeItIsTold() throws {
    let directory = try FilesDirectory(["a": "1"])
    let isArmed = Mutex(false)
    let isStopped = Mutex(false)
    let host = try FakeHost(
      directory, step: { _ in if isStopped.withLock({ $0 }) { throw Crash() } },
      whenTold: { isStopped.withLock { $0 = isArmed.withLock { $0 } } })
    try host.start()
    host.commitEdits()
    host.backend.flush()
    isArmed.withLock { $0 = true }
    directory.save("a", "mine")
    #expect(host.commitEdits()?.edits == [FileEdit(path: "a", content: FileContent("mine"))])
    host.commit(["a": "2"])
    try host.restart()
    isArmed.withLock { $0 = false }
    isStopped.withLock { $0 = false }
    try host.start()
    #expect(!host.hasEdits && directory.read("a") == "2")
    host.backend.stop()
  }

  /// As above, when the edit was displaced by a write, and still lies beside its path.
  @Test(arguments: [true, false]) func displacedEditsAreNotToldAgain(exchanges: Bool) throws {
    let directory = try FilesDirectory(["a": "1"])
    let isSaved = Mutex(false)
    let isStopped = Mutex(false)
    let host = try FakeHost(directory, FakeHost.Kind(exchanges: exchanges)) { step in
      if isStopped.withLock({ $0 }) { throw Crash() }
      guard step == .exchange("a"), !isSaved.withLock({ $0 }) else { return }
      isSaved.withLock { $0 = true }
      directory.write("a", "mine")
    }
    try host.start()
    host.commitEdits()
    host.commit(["a": "2"])
    host.backend.flush()
    #expect(host.hasEdits)
    isStopped.withLock { $0 = true }
    #expect(host.commitEdits()?.edits == [FileEdit(path: "a", content: FileContent("mine"))])
    host.commit(["a": "3"])
    try host.restart()
    #expect(try directory.everything().values.contains("mine"), "it is still there")
    isStopped.withLock { $0 = false }
    try host.start()
    #expect(!host.hasEdits)
    host.backend.stop()
    #expect(try directory.summary() == "a=3")
  }

  /// Back to what the store has, before the edit in between is in it: that is later, and stays.
  @Test(arguments: FakeHost.Kind.all) func anEditBackIsAnEdit(_ kind: FakeHost.Kind) throws {
    let directory = try FilesDirectory(["a": "1"])
    let host = try FakeHost(directory, kind)
    try host.start()
    host.commitEdits()
    host.backend.flush()
    directory.save("a", "mine")
    while !host.hasEdits { host.backend.flush() }
    directory.save("a", "1")
    // When this is seen the other is too.
    directory.save("z", "z")
    while host.waitingBursts < 2 { host.backend.flush() }
    #expect(host.commitEdits()?.edits == [FileEdit(path: "a", content: FileContent("mine"))])
    host.backend.flush()
    #expect(directory.read("a") == "1", "nor is it written over meanwhile")
    #expect(host.commitEdits()?.edits.first == FileEdit(path: "a", content: FileContent("1")))
    host.backend.stop()
    #expect(directory.read("a") == "1" && host.texts["a"] == "1")
  }
}
