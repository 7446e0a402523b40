import Foundation
import Testing

/// A host is put together in one place, so what is simulated, measured and tried is what ships.
@Suite struct StartUpTests {
  private static let sources = URL(filePath: #filePath).appending(path: "../../../../Sources").standardized
  /// The engine, which declares these, and the place.
  private static let exempt = ["TriggerHost/", "TriggerRuntime/"]

  /// Calls that put parts of a host together. `recover` with something in it is the coordinator's, or the log's.
  private static func calls(in text: String) -> [String] {
    let pattern = #/\b(CommitCoordinator|TriggerQueue|Recovery)\(|\.recover(\([^)]|\s*\{)/#
    return text.split(separator: "\n").map {
      $0.prefix(upTo: $0.firstRange(of: "//")?.lowerBound ?? $0.endIndex)
    }
    .filter { $0.contains(pattern) }.map { $0.trimmingCharacters(in: .whitespaces) }
  }

  @Test func onlyTheRuntimePutsAHostTogether() throws {
    let files = try FileManager.default.subpathsOfDirectory(atPath: Self.sources.path).filter { path in
      path.hasSuffix(".swift") && !Self.exempt.contains { path.hasPrefix($0) }
    }
    #expect(files.count > 100)
    for file in files.sorted() {
      let found = Self.calls(in: try String(contentsOf: Self.sources.appending(path: file), encoding: .utf8))
      #expect(found.isEmpty, "\(file) puts a host together by hand: OpenedHost and PastHost do that")
    }
  }

  /// What executes history again, and what helps who writes scripts, is for the command line.
  @Test(arguments: [
    "HostConfig", "TriggerFiles", "TriggerHost", "TriggerRuntime", "TriggerSQLite", "TriggerStores",
  ])
  func aRunningHostNeedsNeitherReplayNorWorkshop(target: String) throws {
    let directory = Self.sources.appending(path: target)
    let files = try FileManager.default.subpathsOfDirectory(atPath: directory.path).filter {
      $0.hasSuffix(".swift")
    }
    #expect(files.count > 1)
    for file in files {
      let text = try String(contentsOf: directory.appending(path: file), encoding: .utf8)
      #expect(!text.contains(#/import Trigger(Replay|Workshop)\b/#), "\(target)/\(file)")
    }
  }

  @Test(arguments: [
    ("let coordinator = CommitCoordinator(configuration)", true),
    ("  queue = TriggerQueue(coordinator)", true),
    ("let r = Recovery(engine)", true), ("try c.recover { try reader.recover($0) }", true),
    ("try c.recover(scripts: trees) { _ in }", true), ("try OpenedHost(places).recover().start()", false),
    ("/// let coordinator = CommitCoordinator()", false), ("init(_ c: CommitCoordinator) {}", false),
  ])
  func aCallIsSeen(line: String, isCall: Bool) { #expect(!Self.calls(in: line).isEmpty == isCall) }
}
