import Foundation
import TestSupport
import Testing

/// The floor plan of the sources, as Architecture.md draws it.
@Suite struct LayerTests {
  private static let sources = URL(filePath: #filePath).appending(path: "../../../../Sources").standardized

  /// The folders of the engine, lowest first.
  private static let layers = [
    "Threads", "Vocabulary", "Ports", "Order", "Scripts", "Log", "Execution", "Engine", "API",
  ]

  @Test func nothingNamesWhatStandsAbove() throws {
    let files = try SwiftSource.read(in: Self.sources.appending(path: "TriggerHost"))
    let ranks = Dictionary(uniqueKeysWithValues: Self.layers.enumerated().map { ($1, $0) })
    for file in files { #expect(ranks[file.folder] != nil, "\(file.path) is in no layer") }
    #expect(Set(files.map(\.folder)) == Set(Self.layers), "a layer has no file")
    for (file, found) in zip(files, SwiftSource.uses(among: files)) {
      for (other, names) in found where ranks[file.folder]! < ranks[files[other].folder]! {
        Issue.record("\(file.path) names \(names.sorted()) of \(files[other].path), which stands above it")
      }
    }
  }

  @Test(arguments: [
    "TriggerCore", "TriggerLua", "TriggerHost", "TriggerReplay", "TriggerWorkshop", "TriggerFiles",
    "TriggerSQLite", "TriggerStores", "HostConfig", "TriggerRuntime", "TriggerReview", "TriggerServer",
    "TriggerTestKit",
    "TriggerSimulation", "TriggerHostCLI",
  ])
  func filesFormNoLargeLoop(target: String) throws {
    let files = try SwiftSource.read(in: Self.sources.appending(path: target))
    #expect(files.count > 1, "no sources of \(target)")
    let loop = Loops.largest(SwiftSource.uses(among: files).map { Array($0.keys) }).map { files[$0].path }
      .sorted()
    #expect(loop.count <= 10, "\(loop.count) files of \(target) need each other: \(loop)")
  }

  /// The reader of the sources, on a piece of them.
  @Test func whatAFileDeclaresAndUses() {
    let file = SwiftSource(
      "A/B.swift",
      Array(
        """
        // class Commented {}
        public struct Shown: Base { struct Inner { let x: Used } }
        private final class Own { let s = "Text \\(Inter.polated(("x \\(Deep.er)"))) class Quoted" }
        extension Other { func f() -> Result { .Member } }
        typealias Alias = Int
        """.utf8))
    #expect(file.folder == "A" && file.declared == ["Shown", "Alias"])
    #expect(file.used.isSuperset(of: ["Base", "Used", "Inter", "Deep", "Other", "Result"]))
    #expect(file.used.isDisjoint(with: ["Commented", "Text", "Quoted", "Member"]))
  }

  @Test func theLargestLoopIsFound() {
    #expect(Loops.largest([[1], [2], [0, 3], []]).sorted() == [0, 1, 2])
    #expect(Loops.largest([[1], [], [1]]).count == 1)
  }
}
