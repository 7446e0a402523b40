import Foundation
import TestSupport
import Testing
import TriggerCore

@Suite struct FileTreeTests {
  @Test func appliesChanges() {
    var tree = FileTree(["a": FileContent("1"), "b/c": FileContent("22")])
    let first = tree
    var changes = FileChanges()
    changes["a"] = .written(FileContent("1.1"))
    changes["b/c"] = .removed
    changes["d"] = .written(FileContent(""))
    changes["absent"] = .removed
    let difference = tree.apply(changes)
    #expect(difference.added == ["d"] && difference.modified == ["a"] && difference.removed == ["b/c"])
    #expect(tree.paths == ["a", "d"] && tree["a"]?.text == "1.1" && tree["d"]?.bytes == [])
    #expect(tree.byteCount == 3 && tree.count == 2)
    #expect(tree.apply(changes).isEmpty)
    // The tree before is as it was.
    #expect(first.paths == ["a", "b/c"] && first.byteCount == 3)
    #expect(tree.changes(since: first)["b/c"] == .removed && tree.changes(since: first).count == 3)
    #expect(tree.changes(since: tree).isEmpty)
  }

  @Test func laterChangesCount() {
    var changes = FileChanges()
    changes["a"] = .written(FileContent("1"))
    changes["b"] = .removed
    var later = FileChanges()
    later["a"] = .removed
    changes.append(later)
    #expect(changes["a"] == .removed && changes["b"] == .removed && changes.paths == ["a", "b"])
  }

  @Test func valuesOfContents() {
    #expect(FileContent("größe").value == .string("größe"))
    #expect(FileContent([0xFF, 0]).value == .bytes([0xFF, 0]))
    #expect(FileContent([]).value == .string(""))
    for value in [Value.string("größe"), .bytes([0xFF]), .string("")] {
      #expect(FileContent(value)?.value == value)
    }
    #expect(FileContent(Value.int(1)) == nil)
  }

  @Test func equalContentsAreKeptOnce() {
    let store = ContentStore()
    var kept: [FileContent] = (0..<2000).map { store.content(Array("\($0 % 100)".utf8)) }
    #expect(Set(kept.map(ObjectIdentifier.init)).count == 100 && store.count == 100)
    #expect(kept[5] === kept[105] && kept[5].bytes == Array("5".utf8))
    kept.removeAll { $0.bytes.count == 1 }
    #expect(store.count == 90)
    kept = []
    #expect(store.count == 0)
  }

  /// Trees and dictionaries do the same, whatever happens; old trees stay as they were.
  @Test func property() {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    var model: [String: String] = [:]
    var tree = FileTree()
    var history: [(FileTree, [String: String])] = []
    for _ in 0..<200 {
      var changes = FileChanges()
      let before = model
      for _ in 0..<Int.random(in: 0...5, using: &random) {
        let path = "p\(Int.random(in: 0..<40, using: &random))"
        let text = Bool.random(using: &random) ? "\(Int.random(in: 0..<5, using: &random))" : nil
        model[path] = text
        changes[path] = text.map { .written(FileContent($0)) } ?? .removed
      }
      let difference = tree.apply(changes)
      let isSame = { (path: String) in before[path] == model[path] }
      #expect(Set(difference.added) == Set(model.keys.filter { before[$0] == nil }), "seed \(seed)")
      #expect(Set(difference.removed) == Set(before.keys.filter { model[$0] == nil }), "seed \(seed)")
      #expect(
        Set(difference.modified) == Set(before.keys.filter { model[$0] != nil && !isSame($0) }),
        "seed \(seed)")
      history.append((tree, model))
    }
    for (tree, model) in history {
      #expect(tree.files.mapValues { $0.text } == model, "seed \(seed)")
      #expect(tree.byteCount == model.values.reduce(0) { $0 + $1.utf8.count }, "seed \(seed)")
    }
  }
}
