import Foundation
import Testing
import TriggerCore

@testable import TriggerFiles

/// What an index makes of what it finds, without a watcher.
@Suite struct DirectoryIndexTests {
  private func refreshed(_ path: String, _ change: (inout FilePathPolicy) -> Void = { _ in })
    -> DirectoryIndex
  {
    var policy = FilePathPolicy()
    change(&policy)
    var index = DirectoryIndex(path, policy: policy)
    index.refresh(.everything)
    return index
  }

  @Test func problemsNameThePath() throws {
    let directory = try TemporaryDirectory(["good": "1", "tab\t.lua": "", "sub/new\nline": ""])
    try directory.write("large", [UInt8](repeating: 0x20, count: 1001))
    try directory.write("fits", [UInt8](repeating: 0x20, count: 1000))
    try directory.write("u\u{308}.txt", "")
    #expect(mkfifo(directory("pipe"), 0o600) == 0)
    try directory.link("socket", to: "/dev/null")
    try directory.link("nowhere", to: "nothing")
    try directory.link("circle", to: "circle")
    try directory.link("passwd", to: "/etc/passwd")
    try directory.link("up", to: "../..")
    try directory.link("inside", to: "sub/../good")
    let index = refreshed(directory.path) { $0.fileBytes = 1000 }
    #expect(index.tree.paths == ["fits", "good", "inside"])
    let real = URL(fileURLWithPath: directory.path).resolvingSymlinksInPath().path
    let up = URL(fileURLWithPath: real).deletingLastPathComponent().deletingLastPathComponent().path
    #expect(
      index.sortedProblems.map(\.description) == [
        "circle: the link leads in a circle", "large: larger than 1000 bytes",
        "nowhere: the link leads to \(real)/nothing: no such file or directory",
        "passwd: the link leaves the directory (it leads to /etc/passwd)",
        "pipe: is not a regular file but a named pipe",
        "socket: the link leaves the directory (it leads to /dev/null)",
        "sub/new\\u{a}line: the name must not contain control characters",
        "tab\\u{9}.lua: the name must not contain control characters",
        "up: the link leaves the directory (it leads to \(up))",
        "u\u{308}.txt: the name is not in composed Unicode form (NFC); rename it to `ü.txt`",
      ])
  }

  @Test func linksThatLeadNowhereAreWarnings() throws {
    let directory = try TemporaryDirectory(["sub/a": "", "tab\t": ""])
    try directory.link("sub/up", to: directory.path)
    try directory.link("nowhere", to: "nothing")
    let problems = refreshed(directory.path) { $0.links = .anywhere }.sortedProblems
    #expect(problems.map(\.path) == ["nowhere", "sub/up", "tab\t"])
    #expect(problems.map(\.severity) == [.warning, .warning, .error])
  }

  @Test func namesThatAreNotUTF8() throws {
    let directory = try TemporaryDirectory(["good": ""])
    let odd = Array(directory.path.utf8) + [0x2F, 0x78, 0xFF, 0]
    let file = odd.withUnsafeBytes {
      open($0.baseAddress!.assumingMemoryBound(to: CChar.self), O_CREAT | O_WRONLY, 0o600)
    }
    close(file)
    defer { odd.withUnsafeBytes { _ = unlink($0.baseAddress!.assumingMemoryBound(to: CChar.self)) } }
    let index = refreshed(directory.path)
    #expect(index.tree.paths == ["good"])
    #expect(index.sortedProblems.map(\.description) == ["x\u{FFFD}: the name is not UTF-8"])
  }

  @Test func linksAsThePolicySays() throws {
    let directory = try TemporaryDirectory(["a": "1", "sub/b": "2"])
    let elsewhere = try TemporaryDirectory(["c": "3"])
    try directory.link("near", to: "sub")
    try directory.link("far", to: elsewhere.path)
    #expect(refreshed(directory.path).tree.paths == ["a", "near/b", "sub/b"])
    #expect(
      refreshed(directory.path) { $0.links = .anywhere }.tree.paths == ["a", "far/c", "near/b", "sub/b"])
    let none = refreshed(directory.path) { $0.links = .none }
    #expect(none.tree.paths == ["a", "sub/b"])
    #expect(none.problems["near"]?.message == "is a symbolic link; links are not followed here")
  }

  /// What cannot be read any more is not deleted.
  @Test func unreadableIsNotDeleted() throws {
    let directory = try TemporaryDirectory(["a": "1", "b": "2"])
    var index = refreshed(directory.path) { $0.fileBytes = 100 }
    try directory.write("a", [UInt8](repeating: 0x20, count: 101))
    let large = index.refresh(Dirt(paths: ["a"]))
    #expect(large.changes.isEmpty && index.tree["a"]?.text == "1")
    #expect(index.sortedProblems.map(\.description) == ["a: larger than 100 bytes"])
    try directory.write("a", "3")
    #expect(index.refresh(Dirt(paths: ["a"])).changes.paths == ["a"])
    #expect(index.problems.isEmpty)
    try directory.remove("a")
    #expect(index.refresh(Dirt(paths: ["a"])).changes["a"] == .removed)
  }

  @Test func onlyOneSpelling() throws {
    let directory = try TemporaryDirectory(["Lib/a.lua": "1", "lib/b.lua": "2", "x": "3", "X": "4"])
    var index = refreshed(directory.path)
    #expect(index.tree.paths == ["Lib/a.lua", "X"])
    #expect(
      index.sortedProblems.map(\.description) == [
        "lib/b.lua: differs from Lib only by case or Unicode form; rename one of them",
        "x: differs from X only by case or Unicode form; rename one of them",
      ])
    try directory.remove("X")
    try directory.remove("Lib")
    let changes = index.refresh(Dirt(paths: ["X", "Lib"])).changes
    #expect(changes.paths == ["Lib/a.lua", "X", "lib/b.lua", "x"])
    #expect(index.tree.paths == ["lib/b.lua", "x"] && index.problems.isEmpty)
  }

  @Test func tooManyFiles() throws {
    let directory = try TemporaryDirectory()
    for name in 0..<12 { try directory.write("f\(10 + name)", "1") }
    var index = refreshed(directory.path) { $0.files = 10 }
    #expect(index.tree.count == 10)
    #expect(index.problems[""]?.message == "more than 10 files or 256 MiB; those beyond are left out")
    for name in 0..<3 { try directory.remove("f\(10 + name)") }
    index.refresh(Dirt(paths: ["f10", "f11", "f12"]))
    // Those that were left out have taken the room.
    #expect(index.tree.paths.count == 9 && index.problems.isEmpty)
  }

  /// A file is read when its status has changed, and again when a change may have been too quick to show.
  @Test func readsWhatHasChanged() throws {
    let directory = try TemporaryDirectory(["old": "1", "new": "1"])
    let past = [timeval(tv_sec: 1000, tv_usec: 0), timeval(tv_sec: 1000, tv_usec: 0)]
    #expect(utimes(directory("old"), past) == 0)
    var index = refreshed(directory.path)
    let before = index.tree
    #expect(index.refresh(.everything).changes.isEmpty && index.tree == before)
    // A look that reads nothing finds the same.
    #expect(index.peek().dirt.isEmpty)
    try directory.write("new", "2")
    #expect(index.peek().dirt.paths == ["new"])
    #expect(index.refresh(.everything).changes.paths == ["new"])
    try directory.remove("old")
    try directory.write("sub/x", "")
    #expect(index.peek().dirt.paths == ["old", "sub/x"])
    #expect(index.tree["old"]?.text == "1")
  }

  @Test func whatTheCallerPutThereIsNoChange() throws {
    let directory = try TemporaryDirectory(["a": "1", "b": "2"])
    var index = refreshed(directory.path)
    try directory.write("a", "3")
    try directory.remove("b")
    try directory.write("c", "4")
    index.replaced("a", by: FileContent("3"))
    index.replaced("b", by: nil)
    index.replaced("c", by: FileContent("4"))
    #expect(index.tree.paths == ["a", "c"])
    #expect(index.refresh(.everything).changes.isEmpty)
    try directory.write("c", "5")
    #expect(index.refresh(Dirt(paths: ["c"])).changes.paths == ["c"])
  }

  /// A follower that has the contents elsewhere gets those of changes, and nothing is kept of the others.
  @Test func contentsCanBeForgotten() throws {
    let directory = try TemporaryDirectory(["a": "1", "b": "2", "c": "3"])
    var index = refreshed(directory.path) { $0.treeBytes = 5 }
    index.forgetContents()
    #expect(index.tree.isEmpty && index.ids.count == 3)
    try directory.write("a", "4")
    try FileManager.default.removeItem(atPath: directory("b"))
    // Written with what it had: no change.
    try directory.write("c", "3")
    var first = index.refresh(.everything)
    #expect(first.changes.paths == ["a", "b"])
    #expect(first.changes["a"]?.content?.text == "4" && first.changes["b"] == .removed)
    // What a refresh continues is told again, with its content.
    try directory.write("d", "55")
    first = index.refresh(.everything, continues: true)
    #expect(first.changes.paths == ["a", "b", "d"] && first.changes["a"]?.content?.text == "4")
    #expect(index.refresh(.everything).changes.isEmpty)
    #expect(index.tree.isEmpty && index.ids.keys.sorted() == ["a", "c", "d"])
    // Sizes count all the same.
    try directory.write("e", "66")
    #expect(index.refresh(.everything).changes.paths == ["e"])
    try directory.write("f", "7")
    #expect(index.refresh(.everything).changes.isEmpty && index.problems[""] != nil)
  }
}
