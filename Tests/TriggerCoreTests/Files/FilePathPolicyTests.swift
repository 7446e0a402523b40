import Testing
import TriggerCore

@Suite struct FilePathPolicyTests {
  private let policy = FilePathPolicy()

  @Test(arguments: [
    "a", "a.lua", "sub/deep/a", "a b", "größe.txt", "日本/語.md", "a..b", "-x", "x.y.z", "tmp", "bak",
  ])
  func goodPaths(_ path: String) { #expect(policy.fault(of: path) == nil) }

  @Test(arguments: [
    ("", "the path is empty"),
    ("/etc/passwd", "the path is absolute; it must be relative to the directory"),
    ("../x", "the path must not contain `..`"), ("a/../x", "the path must not contain `..`"),
    ("a/..", "the path must not contain `..`"), ("./a", "the path must not contain `.`"),
    ("a//b", "the path has an empty name in it (`//`, or a `/` at the end)"),
    ("a/", "the path has an empty name in it (`//`, or a `/` at the end)"),
    ("..\\x", "the name must not contain `\\`"), ("a\u{0}b", "the name must not contain control characters"),
    ("a\nb", "the name must not contain control characters"),
    ("gpj.\u{202E}lua", "the name must not contain control characters"),
    ("a\u{200B}", "the name must not contain control characters"),
    (".git/config", "hidden, backup and temporary names do not count as files"),
    ("a/x~", "hidden, backup and temporary names do not count as files"),
    ("u\u{308}.txt", "the name is not in composed Unicode form (NFC); rename it to `ü.txt`"),
  ])
  func badPaths(_ path: String, _ fault: String) { #expect(policy.fault(of: path) == fault) }

  @Test func limits() {
    #expect(
      policy.fault(of: String(repeating: "x", count: 256)) == "the name has 256 bytes, the limit is 255")
    let long = Array(repeating: String(repeating: "x", count: 100), count: 11).joined(separator: "/")
    #expect(policy.fault(of: long) == "the path has 1110 bytes, the limit is 1024")
    let deep = Array(repeating: "x", count: 33).joined(separator: "/")
    #expect(policy.fault(of: deep) == "more than 32 names deep")
    #expect(policy.fault(ofSize: 1 << 20) == "larger than 1048560 bytes")
    #expect(policy.fault(ofSize: (1 << 20) - 16) == nil)
  }

  @Test(arguments: [
    ".x", ".x.lua.swp", "x~", "#x#", ".#x", "x.swp", "x.swo", "x.bak", "x.tmp", "4913", "x___jb_tmp___",
    "x___jb_old___",
  ])
  func transientNames(_ name: String) { #expect(FilePathPolicy.isTransient(name)) }

  @Test(arguments: ["x", "x.lua", "49130", "x#", "swp", "x.swpx", "a~b"])
  func namesThatStay(_ name: String) { #expect(!FilePathPolicy.isTransient(name)) }

  @Test func spellingsClash() {
    var spellings = FileSpellings()
    spellings.insert("Lib/Größe.lua")
    #expect(spellings.clash(of: "Lib/Größe.lua") == nil)
    #expect(spellings.clash(of: "Lib/other.lua") == nil)
    #expect(spellings.clash(of: "Lib/GRÖSSE.lua") == nil)
    #expect(spellings.clash(of: "Lib/größe.lua") == "Lib/Größe.lua")
    #expect(spellings.clash(of: "Lib/gro\u{308}ße.lua") == "Lib/Größe.lua")
    // The directory of a path counts too.
    #expect(spellings.clash(of: "lib/other.lua") == "Lib")
    spellings.insert("Lib/b")
    spellings.remove("Lib/Größe.lua")
    #expect(spellings.clash(of: "Lib/größe.lua") == nil && spellings.clash(of: "lib/x") == "Lib")
    spellings.remove("Lib/b")
    #expect(spellings.clash(of: "lib/x") == nil)
  }
}
