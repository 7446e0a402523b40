import Synchronization
import TriggerCore

/// A trigger as the engine runs it. Kept by its set.
final class LoadedTrigger: @unchecked Sendable {  // constant but for an atomic
  enum Body {
    /// A script of the tree, by path.
    case lua(tree: LoadedTree, path: String)
    case swift(any Trigger)
    /// Named by an operation of an earlier run, and gone since.
    case missing
    /// Puts a set of triggers in force when it is dequeued.
    case install(TriggerSet)
  }

  /// Which body it has.
  enum Kind { case lua, swift, missing, install }

  /// Of its name, among all names there ever were.
  let index: Int
  /// The set that it is of; 0: of none, an operation keeps it. And its place there.
  let set: Int
  let position: Int
  let name: String
  /// The name in UTF-8.
  var nameBytes: UnsafeRawBufferPointer { nameText.buffer }
  private let nameText: FixedBytes
  /// The same for all versions of the trigger, in every process.
  let nameHash: UInt64
  let body: Body
  /// Looking at this, unlike at `body`, counts no references: it is asked several times for each operation.
  let kind: Kind
  let options: TriggerOptions
  /// All its operations have the same keys, but for their source, and pass no gate: told without looking at
  /// the options.
  let isPlain: Bool
  let timeoutNanoseconds: Int64
  /// Running mean of what an attempt costs; decides how many operations a worker takes at a time.
  let meanCost = Atomic<Int64>(1_000_000)
  /// It was said that it prepares intents and returns none.
  let hasReturnedNothing = Atomic<Bool>(false)
  /// Number of the script tree it is of, from 1; 0 for a Swift trigger.
  let tree: Int
  /// Made for one operation (a Swift trigger that was enqueued directly), which keeps it.
  let isAdopted: Bool

  init(
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
final class LoadedTree: Sendable {
  let identity: ScriptTree.Identity
  let sources: ScriptSources
  private let lookups: [String: Set<String>]

  /// - Parameter lookups: by path of a script, the files that it looks for when it is loaded.
  init(_ identity: ScriptTree.Identity, _ contents: FileTree, lookups: [String: Set<String>] = [:]) {
    self.identity = identity
    self.lookups = lookups
    sources = ScriptSources(contents)
  }

  /// The files that a script comes of.
  func parts(of path: String) -> Set<String> { lookups[path, default: []].union([path]) }
}
