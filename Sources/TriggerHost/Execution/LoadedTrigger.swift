import Synchronization
import TriggerCore

/// A trigger as the engine runs it. Kept by its set.
package final class LoadedTrigger: @unchecked Sendable {  // constant but for an atomic
  package enum Body {
    /// A script of the tree, by path.
    case lua(tree: LoadedTree, path: String)
    case swift(any Trigger)
    /// Named by an operation of an earlier run, and gone since.
    case missing
    /// Puts a set of triggers in force when it is dequeued.
    case install(TriggerSet)
  }

  /// Which body it has.
  package enum Kind { case lua, swift, missing, install }

  /// Of its name, among all names there ever were.
  package let index: Int
  /// The set that it is of; 0: of none, an operation keeps it. And its place there.
  package let set: Int
  package let position: Int
  package let name: String
  /// The name in UTF-8.
  package var nameBytes: UnsafeRawBufferPointer { nameText.buffer }
  private let nameText: FixedBytes
  /// The same for all versions of the trigger, in every process.
  package let nameHash: UInt64
  package let body: Body
  /// Looking at this, unlike at `body`, counts no references: it is asked several times for each operation.
  package let kind: Kind
  package let options: TriggerOptions
  /// All its operations have the same keys, but for their source, and pass no gate: told without looking at
  /// the options.
  package let isPlain: Bool
  package let timeoutNanoseconds: Int64
  /// Running mean of what an attempt costs; decides how many operations a worker takes at a time.
  package let meanCost = Atomic<Int64>(1_000_000)
  /// It was said that it prepares intents and returns none.
  package let hasReturnedNothing = Atomic<Bool>(false)
  /// Number of the script tree it is of, from 1; 0 for a Swift trigger.
  package let tree: Int
  /// Made for one operation (a Swift trigger that was enqueued directly), which keeps it.
  package let isAdopted: Bool

  package init(
    index: Int, name: String, body: Body, options: TriggerOptions, set: Int = 0, position: Int? = nil,
    isAdopted: Bool = false
  ) {
    self.index = index
    self.set = set
    self.position = position ?? index
    self.isAdopted = isAdopted
    self.name = name
    nameText = FixedBytes(name)
    nameHash = StableHash.of(name)
    self.body = body
    (kind, tree) =
      switch body {
      case .lua(let tree, _): (.lua, tree.identity.number)
      case .swift: (.swift, 0)
      case .missing: (.missing, 0)
      case .install: (.install, 0)
      }
    self.options = options
    isPlain = !options.isGated && options.orderBy == nil && options.coalesce == nil
    let (seconds, attoseconds) = options.timeout.components
    timeoutNanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }

  deinit { nameText.free() }
}

/// One version of the script tree: sources by relative path. Immutable.
package final class LoadedTree: Sendable {
  package let identity: ScriptTree.Identity
  package let sources: ScriptSources
  private let lookups: [String: Set<String>]

  /// - Parameter lookups: by path of a script, the files that it looks for when it is loaded.
  package init(_ identity: ScriptTree.Identity, _ contents: FileTree, lookups: [String: Set<String>] = [:]) {
    self.identity = identity
    self.lookups = lookups
    sources = ScriptSources(contents)
  }

  /// The files that a script comes of.
  package func parts(of path: String) -> Set<String> { lookups[path, default: []].union([path]) }
}
