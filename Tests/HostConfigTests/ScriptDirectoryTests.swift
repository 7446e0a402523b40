import Foundation
import Testing

import HostConfig

@Suite struct ScriptDirectoryTests {
  @Test func sortsFilesByKind() throws {
    let directory = try TemporaryDirectory()
    for name in [
      "b.lua", "a.lua", "sub/c.lua", "lib/rsi.lua", "lib/deep/x.lua", "a_test.lua", "lib/rsi_test.lua",
      "mylib/y.lua",
    ] {
      try directory.write(name, "-- \(name)")
    }
    let scripts = ScriptDirectory.read(directory.path)
    #expect(scripts.report.problems.isEmpty)
    #expect(scripts.triggers.map(\.path) == ["a.lua", "b.lua", "mylib/y.lua", "sub/c.lua"])
    #expect(scripts.modules.map(\.path) == ["lib/deep/x.lua", "lib/rsi.lua"])
    #expect(scripts.tests.map(\.path) == ["a_test.lua", "lib/rsi_test.lua"])
    #expect(scripts.files.map(\.path) == scripts.files.map(\.path).sorted())
    #expect(scripts.files.allSatisfy { $0.bytes == Array("-- \($0.path)".utf8) })
  }

  @Test func passesOverWhatIsNotAScript() throws {
    let directory = try TemporaryDirectory()
    for name in [
      ".hidden.lua", ".git/x.lua", "x.lua~", "x.lua.bak", ".x.lua.swp", "#x.lua#", "notes.txt", "LUA",
      ".lua", "old.bak/x.lua", "good.lua",
    ] {
      try directory.write(name, "")
    }
    let scripts = ScriptDirectory.read(directory.path)
    #expect(scripts.files.map(\.path) == ["good.lua"])
    #expect(scripts.report.problems.isEmpty)
  }

  @Test func followsLinksButNotInCircles() throws {
    let directory = try TemporaryDirectory()
    let elsewhere = try TemporaryDirectory()
    try elsewhere.write("shared.lua", "")
    try directory.write("a.lua", "")
    try directory.write("sub/b.lua", "")
    try directory.link("linked", to: elsewhere.path)
    try directory.link("sub/up", to: directory.path)
    try directory.link("c.lua", to: "a.lua")
    try directory.link("gone.lua", to: "nothing")
    let scripts = ScriptDirectory.read(directory.path, name: "triggers")
    let real = URL(fileURLWithPath: directory.path).resolvingSymlinksInPath().path
    #expect(scripts.files.map(\.path) == ["a.lua", "c.lua", "linked/shared.lua", "sub/b.lua"])
    #expect(
      scripts.report.problems.map(\.description) == [
        "triggers/gone.lua: warning: the link leads to \(real)/nothing: no such file or directory",
        "triggers/sub/up: warning: the link leads back to a directory above it",
      ])
    #expect(scripts.report.isGood)
  }

  @Test func refusesOddNamesAndLargeFiles() throws {
    let directory = try TemporaryDirectory()
    try directory.write("large.lua", [UInt8](repeating: 0x20, count: (1 << 20) + 1))
    try directory.write("fits.lua", [UInt8](repeating: 0x20, count: 1 << 20))
    try directory.write("tab\t.lua", "")
    let odd = Array(directory.path.utf8) + Array("/x".utf8) + [0xFF] + Array(".lua".utf8) + [0]
    let descriptor = odd.withUnsafeBufferPointer { bytes in
      bytes.withMemoryRebound(to: CChar.self) { open($0.baseAddress!, O_CREAT | O_WRONLY, 0o600) }
    }
    if descriptor >= 0 { close(descriptor) }
    let scripts = ScriptDirectory.read(directory.path, name: "triggers")
    #expect(scripts.files.map(\.path) == ["fits.lua"])
    var expected = [
      "triggers/large.lua: larger than 1 MiB",
      "triggers/tab\\u{9}.lua: the name must not contain control characters",
    ]
    if descriptor >= 0 { expected.append("triggers/x\u{FFFD}.lua: the name is not UTF-8") }
    #expect(scripts.report.problems.map(\.description) == expected)
    // What a repaired name would hide must not stay behind.
    if descriptor >= 0 {
      odd.withUnsafeBytes { _ = unlink($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
    }
  }

  @Test func aPipeIsNotRead() throws {
    let directory = try TemporaryDirectory()
    #expect(mkfifo(directory.path + "/pipe.lua", 0o600) == 0)
    let scripts = ScriptDirectory.read(directory.path, name: "triggers")
    #expect(
      scripts.report.problems.map(\.description) == [
        "triggers/pipe.lua: is not a regular file but a named pipe"
      ])
  }

  @Test func missingOrWrongDirectory() throws {
    let directory = try TemporaryDirectory()
    let file = try directory.write("x", "")
    #expect(
      ScriptDirectory.read("/nowhere/triggers", name: "triggers").report.description
        == "triggers: the scripts directory does not exist")
    #expect(ScriptDirectory.read(file).report.description == "\(file): is not a directory")
  }
}
