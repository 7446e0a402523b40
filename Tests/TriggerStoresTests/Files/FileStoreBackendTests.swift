import Foundation
import Synchronization
import Testing
import TriggerCore
import TriggerFiles
import TriggerHost
import TriggerTestKit

@testable import TriggerSQLite
@testable import TriggerStores

/// A directory as a store: commits become files, edits become commits.
@Suite struct FileStoreBackendTests {
  @Test(arguments: FakeHost.Kind.all) func commitsBecomeFiles(_ kind: FakeHost.Kind) throws {
    let directory = try FilesDirectory()
    let host = try FakeHost(directory, kind)
    try host.start()
    host.commit(["a.txt": "1", "sub/deep/b.txt": "größe"])
    host.backend.flush()
    #expect(try directory.summary() == "a.txt=1 sub/deep/b.txt=größe")
    // A move, in one commit; a file where a directory was.
    host.commit(["sub": "file", "sub/deep/b.txt": nil, "c/b.txt": "größe"])
    host.commit(["a.txt": "2", "raw": nil])
    host.commit(values: ["raw": .bytes([0xFF, 0x00])])
    host.backend.flush()
    #expect(try directory.summary() == "a.txt=2 c/b.txt=größe raw=\u{FFFD}\0 sub=file")
    #expect(!host.hasEdits)
    host.commit(["sub": nil, "sub/x": "1", "c/b.txt": nil])
    host.backend.stop()
    #expect(try directory.summary() == "a.txt=2 raw=\u{FFFD}\0 sub/x=1")
    #expect(!FileManager.default.fileExists(atPath: directory("c")))
  }

  @Test(arguments: FakeHost.Kind.all) func editsBecomeCommits(_ kind: FakeHost.Kind) throws {
    let directory = try FilesDirectory(["a": "1", "sub/b": "2"])
    let host = try FakeHost(directory, kind)
    try host.start()
    // What is there at first comes in as edits too.
    #expect(host.commitEdits()?.edits.map(\.path) == ["a", "sub/b"])
    #expect(host.texts == ["a": "1", "sub/b": "2"])
    directory.save("a", "1.1")
    #expect(
      host.commitEdits() == FileEdits(number: 2, edits: [FileEdit(path: "a", content: FileContent("1.1"))]))
    try FileManager.default.removeItem(atPath: directory("sub"))
    #expect(host.commitEdits()?.edits == [FileEdit(path: "sub/b", content: nil)])
    // The store goes on from the edit.
    host.commit(["a": "2"])
    host.backend.flush()
    #expect(try directory.summary() == "a=2" && !host.hasEdits)
    host.backend.stop()
  }

  /// Editors look at permissions; a program stays executable.
  @Test func permissionsStay() throws {
    let directory = try FilesDirectory(["run.sh": "1"])
    chmod(directory("run.sh"), 0o751)
    let host = try FakeHost(directory)
    try host.start()
    host.commitEdits()
    host.commit(["run.sh": "2"])
    host.backend.flush()
    #expect(FileStatus.of(directory("run.sh"))?.mode == 0o751 && directory.read("run.sh") == "2")
    host.backend.stop()
  }

  @Test func restartsTellLaggingFilesFromEdits() throws {
    let directory = try FilesDirectory(["a": "1", "b": "1", "c": "1", "d": "1"])
    let host = try FakeHost(directory)
    try host.start()
    host.commitEdits()
    host.commit(["a": "2"])
    host.backend.flush()
    try host.restart()
    // Committed, and not written out: the host was down. And edits of that time.
    host.commit(["b": "2", "c": "2", "new": "2"])
    directory.write("c", "mine")
    unlink(directory("d"))
    try host.start()
    #expect(try directory.summary() == "a=2 b=2 c=mine new=2")
    let edits = host.commitEdits()
    #expect(edits?.edits.map(\.path) == ["c", "d"])
    #expect(host.texts == ["a": "2", "b": "2", "c": "mine", "new": "2"])
    host.backend.flush()
    #expect(!host.hasEdits)
    // Back to a content that was ours once: an edit all the same.
    try host.restart()
    directory.write("a", "1")
    try host.start()
    #expect(host.commitEdits()?.edits == [FileEdit(path: "a", content: FileContent("1"))])
    host.backend.stop()
  }

  /// While the host was down a file has become one that cannot be taken, as it is there: not a deletion.
  @Test func whatCannotBeTakenIsNotDeleted() throws {
    let directory = try FilesDirectory(["a": "1", "b": "1", "c": "1"])
    let host = try FakeHost(directory)
    try host.start()
    host.commitEdits()
    host.backend.flush()
    try host.restart()
    let large = String(repeating: "x", count: 2 << 20)
    directory.write("a", large)
    unlink(directory("b"))
    mkfifo(directory("b"), 0o600)
    unlink(directory("c"))
    mkdir(directory("c"), 0o755)
    host.commit(["a": "2"])
    try host.start()
    #expect(host.commitEdits()?.edits == [FileEdit(path: "c", content: nil)])
    let problems = host.problems { $0.contains { $0.hasPrefix("a: not written") } }
    #expect(problems?.contains("a: larger than 1048560 bytes") == true)
    #expect(problems?.contains("b: is not a regular file but a named pipe") == true)
    #expect(host.texts == ["a": "2", "b": "1"])
    // Mended, and newer than what the store has.
    directory.save("a", "mine")
    #expect(host.commitEdits(through: "a") && directory.read("a") == "mine")
    host.backend.stop()
  }

  /// The log is another one, or has lost its end: what is there is told, nothing is deleted.
  @Test func aMarkWithoutItsLog() throws {
    let directory = try FilesDirectory()
    let host = try FakeHost(directory)
    try host.start()
    host.commit(["a": "1"])
    host.commit(["b": "2"])
    host.backend.stop()
    let other = try FakeHost(directory)
    try other.start()
    #expect(other.commitEdits()?.edits.map(\.path) == ["a", "b"])
    other.backend.stop()
    #expect(try directory.summary() == "a=1 b=2")
  }

  @Test func problemsAreToldAndTriedAgain() throws {
    let directory = try FilesDirectory(["Big": "1"])
    let elsewhere = try FilesDirectory()
    let host = try FakeHost(directory)
    try host.start()
    host.commitEdits()
    symlink(elsewhere.root, directory("link"))
    mkdir(directory("taken"), 0o755)
    host.commit(values: ["n": .int(1)])
    host.commit(["../x": "1", "big": "1", "link/x": "1", "taken": "1", "good": "1"])
    let problems = host.problems { $0.count == 6 }
    #expect(
      problems?.filter { !$0.hasPrefix("link: ") } == [
        "../x: not written: the path must not contain `..`",
        "big: not written: it differs from Big only by case or Unicode form",
        "link/x: cannot be written: link is no directory, or a link to one",
        "n: not written: a file's content is a string, UTF-8 text or bytes",
        "taken: cannot be written: it is a directory",
      ])
    #expect(try directory.summary() == "Big=1 good=1" && elsewhere.everything().isEmpty)
    rmdir(directory("taken"))
    unlink(directory("link"))
    host.commit(["Big": nil, "../x": nil, "n": nil])
    #expect(host.problems { $0.isEmpty } == [])
    #expect(try directory.summary() == "big=1 good=1 link/x=1 taken=1")
    host.backend.stop()
  }

  /// While what was written cannot be noted down (the disk is full), nothing is written or told; then all of it is.
  @Test func withoutAMarkNothingMoves() throws {
    let directory = try FilesDirectory(["a": "1"])
    let host = try FakeHost(directory)
    try host.start()
    host.commitEdits()
    host.backend.flush()
    let mark = try Database(path: directory.mark)
    for table in ["files", "meta"] {
      try mark.run(
        "CREATE TRIGGER full_\(table) BEFORE INSERT ON \(table) BEGIN SELECT RAISE(ABORT, 'no room'); END")
    }
    host.commit(["a": "2"])
    directory.save("b", "mine")
    let problems = host.problems { $0.count == 1 }
    #expect(problems?.first?.hasPrefix("nothing is written out or taken up: ") == true, "\(problems ?? [])")
    #expect(problems?.first?.contains("no room") == true)
    host.backend.flush()
    #expect(try directory.summary() == "a=1 b=mine" && !host.hasEdits)
    for table in ["files", "meta"] { try mark.run("DROP TRIGGER full_\(table)") }
    #expect(host.commitEdits()?.edits == [FileEdit(path: "b", content: FileContent("mine"))])
    #expect(host.problems { $0.isEmpty } == [])
    host.backend.flush()
    #expect(try directory.summary() == "a=2 b=mine")
    // It is known of all of it that it is done.
    try host.restart()
    try host.start()
    #expect(!host.hasEdits)
    host.backend.stop()
    #expect(try directory.summary() == "a=2 b=mine")
  }

  @Test func aLinkGivesWayToAFile() throws {
    let directory = try FilesDirectory(["real": "1"])
    symlink("real", directory("link"))
    let host = try FakeHost(directory)
    try host.start()
    #expect(host.commitEdits()?.edits.map(\.path) == ["link", "real"])
    host.commit(["link": "2"])
    host.backend.flush()
    #expect(try directory.summary() == "link=2 real=1" && !host.hasEdits)
    host.backend.stop()
  }

  @Test func aDirectoryThatIsNotThere() throws {
    let backend = try FileStoreBackend(directory: "/nowhere/at/all", mark: nil)
    let problem = #expect(throws: FileProblem.self) { try backend.start(.init { _ in }) }
    #expect(problem?.description == "/nowhere/at/all: the directory does not exist")
    backend.stop()
  }

  /// Two hosts in one directory would take what the other writes for edits.
  @Test func aDirectoryHasOneHost() throws {
    let directory = try FilesDirectory(["a": "1"])
    let host = try FakeHost(directory)
    try host.start()
    for mark in [nil, directory.path + "/other.sqlite"] {
      let second = try FileStoreBackend(directory: directory.root + "/.", mark: mark)
      let problem = #expect(throws: FileProblem.self) { try second.load() }
      #expect(problem?.description.contains("another host has this directory as a store") == true)
      #expect(throws: FileProblem.self) { try second.start(.init { _ in }) }
      second.stop()
    }
    // Another directory that has come in its place is locked as well, before anything is written.
    rename(directory.root, directory.path + "/old")
    mkdir(directory.root, 0o755)
    host.commit(["b": "1"])
    host.backend.flush()
    let third = try FileStoreBackend(directory: directory.root, mark: nil)
    #expect(throws: FileProblem.self) { try third.load() }
    host.backend.stop()
    try third.start(.init { _ in })
    third.stop()
  }

  @Test func keepsTheContract() async throws {
    let directory = try FilesDirectory(["a.txt": "there before"])
    let backend = try FileStoreBackend(directory: directory.root, mark: nil)
    #expect(try backend.load() == ["a.txt": .string("there before")])
    try backend.start(FileStoreBackend.Handlers { edits in Issue.record("\(edits)") })
    let contents = [
      FileTree(["a.txt": FileContent("1"), "sub/b.bin": FileContent([0xFF, 0x00])]),
      FileTree(["a.txt": FileContent("2"), "sub/deep/c": FileContent("")]), FileTree(),
    ]
    try await StoreBackendContract.check(backend, contents: contents) { backend in
      backend.flush()
      var index = DirectoryIndex(directory.root)
      index.refresh(.everything)
      return try backend.values(of: index.tree)
    }
    backend.stop()
  }

  @Test func contentsAndRefusals() throws {
    let directory = try FilesDirectory()
    let backend = try FileStoreBackend(directory: directory.root, mark: directory.mark)
    #expect(try backend.load() == [:])
    #expect(throws: FileProblem.self) { try backend.content(of: ["a": .int(1)]) }
    #expect(throws: FileProblem.self) { try backend.values(of: FileTree(["/etc/passwd": FileContent("")])) }
    #expect(backend.refusal(of: StoreChange(key: "a", value: .string("x"))) == nil)
    #expect(backend.refusal(of: StoreChange(key: "../a", value: nil)) == nil)
    #expect(backend.refusal(of: StoreChange(key: ".a", value: .string("x"))) != nil)
    let large = Value.bytes([UInt8](repeating: 0xFF, count: 1 << 20))
    #expect(backend.refusal(of: StoreChange(key: "a", value: large)) == "larger than 1048560 bytes")
  }

  /// Through a real engine: Lua reads files at its snapshot, and what it returns becomes files.
  @Test func luaMaintainsFiles() async throws {
    let directory = try FilesDirectory(["hosts.conf": "127.0.0.1 localhost\n"])
    let script = """
      return { on = { event = "add" }, execute = function(event, ctx)
        local files = ctx:store("files")
        local text = files:get("hosts.conf") or ""
        return {
          files:put("hosts.conf", text .. event.ip .. " " .. event.name .. "\\n"),
          files:put("log/" .. event.name .. ".txt", "added"),
          files:delete("old.conf"),
        }
      end }
      """
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 2))
    let backend = try FileStoreBackend(directory: directory.root, mark: nil)
    let store = try coordinator.register(VersionedStore("files", backend: backend))
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: ScriptTree(files: ["add.lua": Array(script.utf8)]))
    queue.start()
    try await store.followEdits(through: queue)
    for index in 1...20 {
      _ = try await queue.perform(
        Event("add", ["ip": .string("10.0.0.\(index)"), "name": .string("h\(index)")]))
    }
    let (_, committed) = try store.readSnapshot()
    #expect(committed["hosts.conf"]?.text?.split(separator: "\n").count == 21)
    await queue.stop()
    backend.stop()
    var index = DirectoryIndex(directory.root)
    index.refresh(.everything)
    #expect(index.tree == committed)
  }
}

/// Ends a backend as the end of the process would.
struct Crash: Error {}
