import Foundation
import Testing

/// The C beside Lua stands in floors: what is lower never names what is higher.
struct FloorTests {
  /// Folders of the C target, lowest first.
  static let floors = [
    "ground", "watch", "mends", "text", "frozen", "values", "codec", "libraries", "attempt", "tree", "api",
    "worker",
  ]

  static let files = Result {
    try CFile.all(
      in: URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources/CTriggerLua"))
  }

  @Test func everyFileStandsOnAFloor() throws {
    let strays = try Self.files.get().filter { Self.height($0.path) == nil }.map(\.path)
    #expect(strays == [])
  }

  @Test func noFileNamesWhatIsAboveIt() throws {
    let files = try Self.files.get()
    let homes = Self.homes(files)
    var upward: [String] = []
    for file in files {
      guard let height = Self.height(file.path) else { continue }
      for name in file.names.sorted() {
        guard let home = homes[name], let above = Self.height(home), above > height else { continue }
        upward.append("\(file.path) names \(name) of \(home)")
      }
      for include in file.includes {
        guard let above = Self.height(include), above > height else { continue }
        upward.append("\(file.path) includes \(include)")
      }
    }
    #expect(upward == [])
  }

  @Test func noCycleIsLong() throws {
    let files = try Self.files.get().filter { $0.path.hasSuffix(".c") }
    let homes = Self.homes(files)
    var uses: [String: Set<String>] = [:]
    for file in files { uses[file.path] = Set(file.names.compactMap { homes[$0] }).subtracting([file.path]) }
    #expect(Self.cycles(uses).filter { $0.count > 10 } == [])
  }

  /// A scanner that sees nothing would find nothing wrong.
  @Test func theScannerSeesDefinitionsAndUses() throws {
    let text = """
      // th_comment() is no use /* nor
      #include "watch/th_watch.h"
      /* th_comment */ #define HERE(x) th_in_macro(x)
      static int th_hidden(void) { return '"' + th_used("th_in_text"); }
      const char *th_defined(
        int a) {
        return th_table[a];
      }
      const char *const th_table[] = {"{"};
      int th_declared(int);
      extern const char th_elsewhere;
      """
    let file = CFile(path: "watch/x.c", text: text)
    #expect(file.definitions == ["th_defined", "th_table"])
    #expect(file.includes == ["watch/th_watch.h"])
    #expect(
      file.names == [
        "th_in_macro", "th_hidden", "th_used", "th_defined", "th_table", "th_declared", "th_elsewhere",
      ])
    #expect(Self.cycles(["a": ["b"], "b": ["c"], "c": ["b"], "d": ["d"]]) == [["b", "c"], ["d"]])
    let files = try Self.files.get()
    #expect(Self.homes(files)["th_raise_end"] == "watch/th_hook.c")
    #expect(Self.homes(files)["th_run"] == "worker/th_run.c")
  }

  /// How high a file stands by its path; nil where its folder is no floor.
  static func height(_ path: String) -> Int? {
    path.split(separator: "/").first.flatMap { floors.firstIndex(of: String($0)) }
  }

  static func homes(_ files: [CFile]) -> [String: String] {
    var homes: [String: String] = [:]
    for file in files { for name in file.definitions { homes[name] = file.path } }
    return homes
  }

  /// The sets of files each of which leads to all others, and back.
  static func cycles(_ uses: [String: Set<String>]) -> Set<[String]> {
    let reached = uses.mapValues { reach($0, uses) }
    return Set(reached.map { path, all in all.filter { reached[$0]?.contains(path) == true }.sorted() })
      .subtracting([[]])
  }

  static func reach(_ from: Set<String>, _ uses: [String: Set<String>]) -> Set<String> {
    var seen: Set<String> = []
    var next = Array(from)
    while let path = next.popLast() {
      if seen.insert(path).inserted { next += uses[path] ?? [] }
    }
    return seen
  }
}
