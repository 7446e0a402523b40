import TriggerCore
import TriggerHost

/// The script trees that a log names, loaded when they are first asked for and kept while they are in use.
/// Not thread-safe; what it gives out is.
final class RecordedScripts {
  /// A tree, and the triggers that its scripts make.
  final class Tree: Sendable {
    let loaded: LoadedTree
    let triggers: [String: LoadedTrigger]

    init(_ loaded: LoadedTree, _ scripts: [ScriptTree.Script], firstIndex: Int) {
      self.loaded = loaded
      var triggers: [String: LoadedTrigger] = [:]
      for (offset, script) in scripts.enumerated() {
        triggers[script.name] = LoadedTrigger(
          index: firstIndex + offset, name: script.name, body: .lua(tree: loaded, path: script.path),
          options: script.options)
      }
      self.triggers = triggers
    }

    /// A router of one's own: it is guarded by nothing.
    func makeRouter() -> Router { Router(triggers: triggers.values.sorted { $0.name < $1.name }) }
  }

  /// Trees kept at a time: a long history may have thousands.
  private static let kept = 32

  private let source: (_ tree: Int) throws -> ScriptTree?
  private let seed: UInt64
  private var trees: [Int: Tree] = [:]
  /// Numbers of `trees`, the oldest first.
  private var order: [Int] = []
  private var triggerCount = 0

  /// - Parameters:
  ///   - seed: for trees that come without an identity.
  ///   - source: the tree of a number, nil when there is none.
  init(seed: UInt64, _ source: @escaping (_ tree: Int) throws -> ScriptTree?) {
    self.seed = seed
    self.source = source
  }

  /// The tree of a number; without triggers when it is not known.
  func tree(_ number: Int) throws -> Tree {
    if let known = trees[number] { return known }
    let scripts = try source(number) ?? ScriptTree(files: [:])
    let tree = add(
      scripts, identity: scripts.identity ?? ScriptTree.Identity(number: number, time: 0, seed: seed))
    if order.count == Self.kept { trees[order.removeFirst()] = nil }
    trees[number] = tree
    order.append(number)
    return tree
  }

  /// A tree that no log names.
  func add(_ scripts: ScriptTree, identity: ScriptTree.Identity) -> Tree {
    defer { triggerCount += scripts.triggers.count }
    return Tree(
      LoadedTree(identity, scripts.contents), scripts.triggers, firstIndex: triggerCount)
  }
}
