import Foundation
import Synchronization
import TestSupport
import Testing
import TriggerCore

import TriggerFiles

/// A real directory, changed as programs change directories; noticed by the system's notification and by
/// looking from time to time.
@Suite struct DirectoryWatcherTests {
  static let kinds = [DirectoryWatcher.Noticing.notified, .polled]

  private func options(_ noticing: DirectoryWatcher.Noticing = .notified) -> DirectoryWatcher.Options {
    var options = DirectoryWatcher.Options()
    options.noticing = noticing
    options.pollInterval = .milliseconds(20)
    return options
  }

  @Test(arguments: kinds) func tellsOfBursts(_ noticing: DirectoryWatcher.Noticing) throws {
    let directory = try TemporaryDirectory(["a": "1", "sub/b": "2"])
    let followed = Followed(directory.path, options(noticing))
    #expect(followed.watcher.isPolling == (noticing == .polled))
    #expect(followed.first.texts == "a=1 sub/b=2")
    #expect(followed.first.summary == "+a +sub/b")
    let report = try followed.burst(until: { $0["z"] != nil }) {
      try directory.write("a", "1.1")
      try directory.remove("sub/b")
      try directory.write("new/deep/c", "3")
      try directory.write("z", "end")
    }
    #expect(report?.summary == "+new/deep/c +z ~a -sub/b")
    #expect(report?.texts == "a=1.1 new/deep/c=3 z=end")
    #expect(report?.problems == [])
    // In a directory that is new itself.
    let next = try followed.writing("new/deep/d", "4") { try directory.write("new/deep/d", $0) }
    #expect(next?.summary == "+new/deep/d")
  }

  /// The ways in which editors save, each as one change of one file.
  @Test(arguments: kinds) func editorsSave(_ noticing: DirectoryWatcher.Noticing) throws {
    let directory = try TemporaryDirectory(["f.lua": "0", "other": ""])
    let followed = Followed(directory.path, options(noticing))
    var count = 0
    func saved(_ editor: String, _ save: (_ text: String) throws -> Void) throws {
      count += 1
      let report = try followed.writing("f.lua", "\(count)", save)
      #expect(report?.summary == "~f.lua", "\(editor)")
      #expect(report?.texts == "f.lua=\(count) other=", "\(editor)")
    }
    try saved("VS Code, nano") { try directory.write("f.lua", $0) }
    try saved("vim, backup by renaming") {
      try directory.write(".f.lua.swp", "swap")
      try directory.write("4913", "")
      try directory.remove("4913")
      try directory.rename("f.lua", to: "f.lua~")
      try directory.write("f.lua", $0)
      try directory.remove("f.lua~")
      try directory.remove(".f.lua.swp")
    }
    try saved("gedit, kate: a new file takes the name") {
      try directory.write(".goutputstream-X1Y2Z3", $0)
      try directory.rename(".goutputstream-X1Y2Z3", to: "f.lua")
    }
    try saved("JetBrains") {
      try directory.write("f.lua___jb_tmp___", $0)
      try directory.rename("f.lua", to: "f.lua___jb_old___")
      try directory.rename("f.lua___jb_tmp___", to: "f.lua")
      try directory.remove("f.lua___jb_old___")
    }
    try saved("emacs") {
      try directory.link(".#f.lua", to: "me@here.1:2")
      try directory.write("#f.lua#", $0)
      try directory.rename("f.lua", to: "f.lua~")
      try directory.write("f.lua", $0)
      try directory.remove("#f.lua#")
      try directory.remove(".#f.lua")
    }
    try saved("sed -i") {
      try directory.write("sedAbCdEf", $0)
      try directory.rename("sedAbCdEf", to: "f.lua")
    }
    try saved("a hard link takes the name") {
      try directory.write(".new", $0)
      try directory.remove("f.lua")
      try #require(Glibc.link(directory(".new"), directory("f.lua")) == 0)
      try directory.remove(".new")
    }
    // Saved without a change: nothing to tell of.
    let last = try followed.burst(until: { $0["end"] != nil }) {
      try directory.write("f.lua", "\(count)")
      try directory.write("end", "")
    }
    #expect(last?.summary == "+end")
  }

  @Test(arguments: kinds) func directoriesMove(_ noticing: DirectoryWatcher.Noticing) throws {
    let directory = try TemporaryDirectory(["a/x": "1", "a/deep/y": "2", "b/z": "3"])
    let outside = try TemporaryDirectory(["in/w": "4", "in/deep/v": "5"])
    let followed = Followed(directory.path, options(noticing))
    #expect(
      try followed.burst(until: { $0["b/a/x"] != nil }) { try directory.rename("a", to: "b/a") }?.summary
        == "+b/a/deep/y +b/a/x -a/deep/y -a/x")
    // Changes in a moved directory have its new path.
    let inMoved = try followed.writing("b/a/deep/y", "2.1") { try directory.write("b/a/deep/y", $0) }
    #expect(inMoved?.summary == "~b/a/deep/y")
    try #require(Glibc.rename(outside("in"), directory("in")) == 0)
    #expect(followed.next()?.summary == "+in/deep/v +in/w")
    let inNew = try followed.writing("in/deep/v", "5.1") { try directory.write("in/deep/v", $0) }
    #expect(inNew?.summary == "~in/deep/v")
    try #require(Glibc.rename(directory("in"), outside("out")) == 0)
    #expect(followed.next()?.summary == "-in/deep/v -in/w")
    // Nothing that happens to it out there counts.
    let gone = try followed.burst(until: \.isEmpty) {
      try outside.write("out/w", "6")
      try directory.remove("b")
    }
    #expect(gone?.summary == "-b/a/deep/y -b/a/x -b/z")
    // A directory takes a file's name, and a file a directory's.
    #expect(try followed.writing("n", "file") { try directory.write("n", $0) }?.summary == "+n")
    let below = try followed.writing("n/n", "in it") {
      try directory.remove("n")
      try directory.write("n/n", $0)
    }
    #expect(below?.texts == "n/n=in it")
    let again = try followed.writing("n", "again") {
      try directory.remove("n")
      try directory.write("n", $0)
    }
    #expect(again?.texts == "n=again")
  }

  @Test(arguments: kinds) func theRootGoesAndComesBack(_ noticing: DirectoryWatcher.Noticing) throws {
    let parent = try TemporaryDirectory(["root/a": "1", "root/sub/b": "2"])
    let followed = Followed(parent("root"), options(noticing))
    #expect(followed.first.texts == "a=1 sub/b=2")
    try parent.remove("root")
    let gone = followed.next { $0.problems.map(\.description) == ["the directory does not exist"] }
    #expect(gone != nil)
    try parent.write("root/a", "1.1")
    #expect(followed.next { $0.problems.isEmpty && $0.tree["a"]?.text == "1.1" }?.texts == "a=1.1")
    try parent.write("root/c", "3")
    #expect(followed.next { $0.tree["c"]?.text == "3" }?.texts == "a=1.1 c=3")
    // Another directory takes its place at once.
    try parent.write("other/d", "4")
    try parent.rename("root", to: "old")
    try parent.rename("other", to: "root")
    #expect(followed.next { $0.tree["d"] != nil && $0.tree["c"] == nil }?.texts == "d=4")
    let last = try followed.writing("f", "6") {
      try parent.write("old/e", "5")
      try parent.write("root/f", $0)
    }
    #expect(last?.texts == "d=4 f=6")
  }

  /// A directory that is moved away whole keeps its files: that it is gone does not mean that each was deleted.
  @Test(arguments: kinds) func whatIsGoneIsNotDeleted(_ noticing: DirectoryWatcher.Noticing) throws {
    let parent = try TemporaryDirectory(["root/a": "1", "root/sub/b": "2"])
    let followed = Followed(parent("root"), options(noticing))
    try parent.rename("root", to: "elsewhere")
    let gone = followed.next()
    #expect(gone?.problems.map(\.description) == ["the directory does not exist"])
    #expect(gone?.summary == "" && gone?.texts == "a=1 sub/b=2")
    try parent.rename("elsewhere", to: "root")
    let back = followed.next()
    #expect(back?.problems == [] && back?.summary == "" && back?.texts == "a=1 sub/b=2")
    #expect(try followed.writing("sub/b", "3") { try parent.write("root/sub/b", $0) }?.summary == "~sub/b")
  }

  /// As Kubernetes mounts config maps: a hidden link to a hidden directory is exchanged for another.
  @Test(arguments: kinds) func configMapsSwap(_ noticing: DirectoryWatcher.Noticing) throws {
    let directory = try TemporaryDirectory(["..v1/a.lua": "1", "..v1/b.lua": "1", "..v2/a.lua": "2"])
    try directory.write("..v2/b.lua", "1")
    try directory.link("..data", to: "..v1")
    try directory.link("a.lua", to: "..data/a.lua")
    try directory.link("b.lua", to: "..data/b.lua")
    let followed = Followed(directory.path, options(noticing))
    #expect(followed.first.texts == "a.lua=1 b.lua=1")
    #expect(followed.first.problems == [])
    for (version, other) in [("2", "..v2"), ("1", "..v1"), ("2", "..v2")] {
      try directory.link("..data_tmp", to: other)
      try directory.rename("..data_tmp", to: "..data")
      let report = followed.next()
      #expect(report?.summary == "~a.lua" && report?.texts == "a.lua=\(version) b.lua=1")
    }
    // Written through the link: the file lies in a directory that is not the tree's.
    let through = try followed.writing("a.lua", "3") { try directory.write("a.lua", $0) }
    #expect(through?.texts == "a.lua=3 b.lua=1")
    try directory.remove("..v2/b.lua")
    let report = followed.next()
    #expect(report?.summary == "-b.lua" && report?.problems.first?.path == "b.lua")
    let back = try followed.writing("b.lua", "back") { try directory.write("..v2/b.lua", $0) }
    #expect(back?.texts == "a.lua=3 b.lua=back")
  }

  @Test(arguments: kinds) func theRootIsALink(_ noticing: DirectoryWatcher.Noticing) throws {
    let directory = try TemporaryDirectory(["v1/a": "1", "v2/a": "2"])
    try directory.link("current", to: "v1")
    let followed = Followed(directory("current"), options(noticing))
    #expect(followed.first.texts == "a=1")
    #expect(try followed.writing("a", "1.1") { try directory.write("v1/a", $0) }?.texts == "a=1.1")
    try directory.link("next", to: "v2")
    try directory.rename("next", to: "current")
    #expect(followed.next()?.texts == "a=2")
    let last = try followed.writing("a", "2.1") {
      try directory.write("v1/a", "old")
      try directory.write("v2/a", $0)
    }
    #expect(last?.texts == "a=2.1")
  }

  @Test(arguments: kinds) func directoriesBehindLinks(_ noticing: DirectoryWatcher.Noticing) throws {
    let directory = try TemporaryDirectory(["root/a": "1"])
    let elsewhere = try TemporaryDirectory(["x": "1", "deep/y": "2"])
    try directory.link("root/lib", to: elsewhere.path)
    try directory.link("root/up", to: directory.path + "/root")
    var options = options(noticing)
    options.policy.links = .anywhere
    let followed = Followed(directory("root"), options)
    #expect(followed.first.texts == "a=1 lib/deep/y=2 lib/x=1")
    #expect(
      followed.first.problems.map(\.description) == ["up: the link leads back to a directory above it"])
    let behind = try followed.writing("lib/deep/y", "2.1") { try elsewhere.write("deep/y", $0) }
    #expect(behind?.summary == "~lib/deep/y")
    try directory.remove("root/lib")
    #expect(followed.next()?.summary == "-lib/deep/y -lib/x")
    let last = try followed.writing("a", "1.1") {
      try elsewhere.write("deep/y", "2.2")
      try directory.write("root/a", $0)
    }
    #expect(last?.summary == "~a")
  }

  /// A link that leads nowhere for a while is followed on, though its name is none of a file that counts.
  @Test(arguments: kinds) func aLinkedDirectoryGoesAndComesBack(_ noticing: DirectoryWatcher.Noticing) throws
  {
    let directory = try TemporaryDirectory(["root/a.lua": "1", "real/x.lua": "1"])
    try directory.link("root/lib", to: "../real")
    var options = options(noticing)
    options.policy.links = .anywhere
    options.includes = { $0.hasSuffix(".lua") }
    let followed = Followed(directory("root"), options)
    #expect(followed.first.texts == "a.lua=1 lib/x.lua=1")
    try directory.rename("real", to: "elsewhere")
    let gone = followed.next()
    #expect(gone?.texts == "a.lua=1" && gone?.problems.map(\.path) == ["lib"], "\(gone?.problems ?? [])")
    try directory.rename("elsewhere", to: "real")
    let back = followed.next()
    #expect(back?.texts == "a.lua=1 lib/x.lua=1" && back?.problems == [], "\(back?.problems ?? [])")
    let last = try followed.writing("lib/x.lua", "2") { try directory.write("real/x.lua", $0) }
    #expect(last?.texts == "a.lua=1 lib/x.lua=2")
  }

  @Test(arguments: kinds) func whatIsNoFileIsTold(_ noticing: DirectoryWatcher.Noticing) throws {
    let directory = try TemporaryDirectory(["a": "1"])
    let followed = Followed(directory.path, options(noticing))
    #expect(mkfifo(directory("pipe"), 0o600) == 0)
    #expect(followed.next()?.problems.map(\.description) == ["pipe: is not a regular file but a named pipe"])
  }

  @Test(arguments: kinds) func gitChecksOut(_ noticing: DirectoryWatcher.Noticing) throws {
    let directory = try TemporaryDirectory()
    for index in 0..<200 { try directory.write("d\(index % 10)/f\(index).lua", "main \(index)") }
    let git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
    func run(_ arguments: String...) throws { try directory.run(git + arguments) }
    try run("init", "-q", ".")
    try run("add", ".")
    try run("commit", "-q", "-m", "main")
    try run("checkout", "-q", "-b", "other")
    for index in 0..<100 { try directory.write("d\(index % 10)/f\(index).lua", "other \(index)") }
    for index in 100..<120 { try directory.remove("d\(index % 10)/f\(index).lua") }
    for index in 0..<20 { try directory.write("new/g\(index).lua", "new \(index)") }
    try run("add", "-A", ".")
    try run("commit", "-q", "-m", "other")
    let followed = Followed(directory.path, options(noticing))
    #expect(followed.first.tree.count == 200)
    let other = followed.first.tree
    try run("checkout", "-q", "main")
    // One burst, unless the machine stops for longer than the quiet time in the middle of it.
    var report = try #require(followed.next())
    while report.tree["d9/f99.lua"]?.text != "main 99" || report.tree["new/g19.lua"] != nil
      || report.tree["d9/f119.lua"] == nil
    {
      report = try #require(followed.next())
    }
    #expect(report.tree.count == 200)
    report.tree.forEach { path, content in #expect(content.text?.hasPrefix("main") == true, "\(path)") }
    try run("checkout", "-q", "other")
    report = try #require(followed.next())
    while report.tree != other { report = try #require(followed.next()) }
  }

  /// Two columns: the watcher, and somebody who saves twice.
  ///
  ///                          a = 2, v = 2
  ///     reads a = 2
  ///                          a = 3, v = 3
  ///     reads v = 3
  ///     tells of neither, and of a = 3, v = 3 after the second burst
  @Test func whatIsReadIsOfOneMoment() throws {
    let directory = try TemporaryDirectory(["a": "1", "v": "1"])
    let calls = Mutex<Int?>(nil)
    var options = options()
    options.includes = { path in
      guard path == "v" else { return true }
      let call = calls.withLock { calls in
        calls = calls.map { $0 + 1 }
        return calls
      }
      // The event; the look after it.
      if call == 2 {
        try? directory.write("a", "3")
        try? directory.write("v", "3")
      }
      return true
    }
    let followed = Followed(directory.path, options)
    calls.withLock { $0 = 0 }
    try directory.write("a", "2")
    try directory.write("v", "2")
    let texts = Mutex<[String]>([])
    let last = followed.next { report in
      texts.withLock { $0.append(report.texts) }
      return report.tree["v"]?.text == "3"
    }
    #expect(last?.texts == "a=3 v=3", "\(texts.withLock { $0 })")
  }

  /// The same at the first look.
  @Test(arguments: kinds) func whatIsReadAtFirstIsOfOneMoment(_ noticing: DirectoryWatcher.Noticing) throws {
    let directory = try TemporaryDirectory(["a": "1", "v": "1"])
    let isRead = Atomic<Bool>(false)
    var options = options(noticing)
    options.includes = { path in
      if path == "v", !isRead.exchange(true, ordering: .relaxed) {
        try? directory.write("a", "2")
        try? directory.write("v", "2")
      }
      return true
    }
    let followed = Followed(directory.path, options)
    #expect(followed.first.texts == "a=2 v=2")
    #expect(followed.first.summary == "+a +v")
  }

  /// A host starts beside somebody who saves without end.
  @Test(.timeLimit(.minutes(5)), arguments: kinds) func theFirstLookEnds(
    _ noticing: DirectoryWatcher.Noticing
  ) throws {
    let directory = try TemporaryDirectory(["a": "0"])
    let count = Atomic<Int>(0)
    var options = options(noticing)
    options.longest = .milliseconds(50)
    options.includes = { path in
      let number = count.add(1, ordering: .relaxed).newValue
      try? directory.write(path, "\(number)")
      return true
    }
    #expect(Followed(directory.path, options).first.tree.paths == ["a"])
  }

  /// Files that nobody closes are not seen half: what counts is what is there when the writer is done.
  @Test func aWriterIsWaitedFor() throws {
    let directory = try TemporaryDirectory(["a": "whole", "b": "1"])
    let followed = Followed(directory.path, options())
    let file = open(directory("a"), O_WRONLY | O_TRUNC)
    _ = "half".withCString { Glibc.write(file, $0, 4) }
    #expect(try followed.writing("b", "2") { try directory.write("b", $0) }?.texts == "a=whole b=2")
    _ = " and half".withCString { Glibc.write(file, $0, 9) }
    close(file)
    #expect(followed.next()?.texts == "a=half and half b=2")
  }

  @Test func lostEvents() throws {
    let directory = try TemporaryDirectory(["a": "1", "b/c": "2"])
    let followed = Followed(directory.path, options())
    followed.watcher.perform { [watcher = followed.watcher] _ in
      // While this job runs no event is taken.
      try? directory.write("a", "1.1")
      try? directory.write("n/d", "3")
      watcher.overflow()
    }
    #expect(followed.next { $0.tree["n/d"]?.text == "3" }?.texts == "a=1.1 b/c=2 n/d=3")
    #expect(try followed.writing("n/d", "4") { try directory.write("n/d", $0) }?.summary == "~n/d")
  }

  @Test func stopsAtAnyTime() throws {
    let directory = try TemporaryDirectory(["a": "1"])
    let never = DirectoryWatcher(directory.path)
    never.stop()
    #expect(never.start { _ in }.texts == "a=1")
    never.stop()
    let twice = Followed(directory.path)
    twice.watcher.stop()
    twice.watcher.stop()
    // From its own thread.
    let own = DirectoryWatcher(directory.path)
    let isStopped = DispatchSemaphore(value: 0)
    _ = own.start { _ in
      own.stop()
      isStopped.signal()
    }
    try directory.write("b", "")
    #expect(isStopped.wait(timeout: .now() + 300) == .success)
    own.stop()
  }

  /// Whatever programs do to a directory, in the end the watcher has what is there.
  @Test(arguments: kinds) func property(_ noticing: DirectoryWatcher.Noticing) throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    for round in 0..<6 {
      let directory = try TemporaryDirectory(["root/a": "0"])
      let followed = Followed(directory("root"), options(noticing))
      var scribbler = Scribbler(directory, random: random)
      for _ in 0..<150 { scribbler.step() }
      random = scribbler.random
      try directory.write("root/end", "\(round)")
      let expected = try scribbler.texts()
      let last = followed.next { $0.texts == expected }
      #expect(last != nil, "seed \(seed), round \(round): expected \(expected)")
      if last == nil { return }
    }
  }
}

/// Does what programs do to a directory, at random.
private struct Scribbler {
  let directory: TemporaryDirectory
  var random: SplitMix64
  private var count = 0

  init(_ directory: TemporaryDirectory, random: SplitMix64) {
    self.directory = directory
    self.random = random
  }

  private mutating func path() -> String {
    let depth = Int.random(in: 0...2, using: &random)
    let names = (0...depth).map { _ in ["a", "b", "c"].randomElement(using: &random)! }
    return "root/" + names.joined(separator: "/")
  }

  /// What does not work (a file in the way of a directory, nothing there) is left.
  mutating func step() {
    count += 1
    let path = path()
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<4: try? directory.write(path, "\(count)")
    case 4:
      try? directory.write(path + ".tmp", "\(count)")
      try? directory.rename(path + ".tmp", to: path)
    case 5...6: try? directory.rename(path, to: self.path())
    case 7: try? directory.rename(path, to: "out\(count % 3)")
    case 8: try? directory.rename("out\(count % 3)", to: path)
    default: try? directory.remove(path)
    }
  }

  /// What is there, read with other means.
  func texts() throws -> String {
    let manager = FileManager.default
    var texts: [String] = []
    for path in try manager.subpathsOfDirectory(atPath: directory("root")).sorted()
    where !path.split(separator: "/").contains(where: { $0.hasSuffix(".tmp") }) {
      var isDirectory: ObjCBool = false
      _ = manager.fileExists(atPath: directory("root/" + path), isDirectory: &isDirectory)
      if isDirectory.boolValue { continue }
      texts.append("\(path)=\(try String(contentsOfFile: directory("root/" + path), encoding: .utf8))")
    }
    return texts.joined(separator: " ")
  }
}
