import Synchronization
import TriggerCore

/// What a trigger is bound to.
public enum EventKind: String, Sendable, CaseIterable {
  /// `message`: from outside; `data`: from a feed; `event`: any named event, emitted ones too. A binding to
  /// `event` takes messages and data of its name as well, and an `event` reaches bindings to those two.
  ///
  /// `commit`: made by the engine, one for each trigger and commit that changed keys it is bound to.
  ///
  /// `cron`: the fires of every schedule that names its trigger. In a script's `on`, `cron`, `every`, `at`
  /// and `start` become schedules.
  case message, event, data, commit, cron, every, at, start

  /// Whether a binding to this kind takes an event of that one.
  package func takes(_ arriving: EventKind) -> Bool {
    self == arriving || (self == .event && (arriving == .message || arriving == .data))
      || (arriving == .event && (self == .message || self == .data))
  }

  /// Place in `allCases`: what a log record holds. New kinds go to the end.
  var index: Int {
    switch self {
    case .message: 0
    case .event: 1
    case .data: 2
    case .commit: 3
    case .cron: 4
    case .every: 5
    case .at: 6
    case .start: 7
    }
  }
}

/// One `on` entry: a kind and a name pattern. `*` stands for any characters but `/`, `**` for any at all.
public struct EventPattern: Sendable, Hashable {
  /// What kind of event it takes; `EventKind` says which kinds stand in for others.
  public var kind: EventKind
  /// For `commit` matched with `store/key` of each write, for the others with the event's name.
  public var pattern: String

  /// Any text is a pattern; without a `*` it matches itself alone.
  public init(_ kind: EventKind, _ pattern: String) {
    self.kind = kind
    self.pattern = pattern
  }

  /// Most bytes of a pattern with a star. What a name costs grows with the pattern it is compared with, and every key of
  /// every commit is compared.
  public static let longest = 256

  /// Whether the whole of `name` fits. O(pattern + name × pattern / 64).
  public func matches(_ name: some StringProtocol) -> Bool { matcher.matches(Array(name.utf8)) }

  /// For many names.
  var matcher: PatternMatcher { PatternMatcher(pattern) }
}

/// What a trigger's author decides about it.
public struct TriggerOptions: Sendable {
  /// For events that bring no priority of their own.
  public var priority = Priority.normal
  /// CPU time of one attempt; ten times that in wall time is the backstop. Scripts only: nothing ends a Swift
  /// trigger's attempt.
  public var timeout: Duration = .milliseconds(200)
  /// Live bytes an attempt may hold. Scripts only.
  public var memory = 64 << 20
  /// What it is bound to. Empty: only a schedule, or an enqueue of the trigger itself, runs it.
  public var on: [EventPattern] = []
  /// Path into the event: operations with an equal value there keep their arrival order.
  public var orderBy: [String]?
  /// Path into the event: a queued operation with an equal value there takes the newer payload. An empty
  /// path coalesces all events of the trigger.
  public var coalesce: [String]?
  /// An event passes when none has come for this long; the newest one does.
  public var debounce: Duration?
  /// At most one event passes per span; the newest of the others follows when it is over.
  public var throttle: Duration?
  /// What happens to an event when `maxInstances` operations of the trigger are undecided; nil: nothing, it
  /// becomes an operation like every other. Counted by trigger, or by trigger and `orderBy` value.
  public var mode: OverlapMode?
  /// Nil: what `mode` has.
  public var maxInstances: Int?
  /// What happens to an operation that failed; nil: it stays failed.
  public var retry: RetryPolicy?
  /// What the table of a script may ask for at most; nil: anything. Only of the defaults that a `ScriptTree` is made with.
  public var ceilings: Ceilings?

  /// The most that a host lets its scripts have. One that asks for more is no trigger.
  public struct Ceilings: Sendable, Hashable {
    /// CPU time of one attempt.
    public var timeout: Duration
    /// Live bytes of an attempt.
    public var memory: Int
    /// The most urgent priority.
    public var priority: Priority

    /// By default what hosts without a word about it allow.
    public init(timeout: Duration = .seconds(600), memory: Int = 1 << 30, priority: Priority = .critical) {
      self.timeout = timeout
      self.memory = memory
      self.priority = priority
    }
  }

  /// The defaults: bound to nothing, 200 ms and 64 MiB for an attempt, no gate.
  public init() {}

  /// Events pass a gate before they reach the queue.
  var isGated: Bool { debounce != nil || throttle != nil || mode != nil }
}

/// How an operation that failed is tried again: as a new operation with the same event, under a seq of its
/// own, after a pause that doubles each time.
public struct RetryPolicy: Sendable, Hashable {
  /// What becomes meanwhile of later operations with its order key.
  public enum Order: String, Sendable, CaseIterable {
    /// They wait until the last try is decided: operations of one trigger from one source, or with an equal
    /// `orderBy` value, are decided in the order in which they came, however often one is tried.
    case keep
    /// They go on: a retry takes its place behind them.
    case free
  }

  /// Tries in all, the first included; 1 to 100.
  public var attempts: Int
  /// Pause before the second try.
  public var backoff: Duration
  /// The longest pause.
  public var longest: Duration
  /// What becomes meanwhile of later operations with its order key.
  public var order = Order.keep

  /// Three tries, a second and two apart, unless said otherwise.
  public init(attempts: Int = 3, backoff: Duration = .seconds(1), longest: Duration = .seconds(300)) {
    self.attempts = attempts
    self.backoff = backoff
    self.longest = longest
  }

  /// The pause before a try, counted from 1 for the second one: doubled each time, and moved by up to a
  /// quarter either way, so that what failed together is not tried together again. The same for the same
  /// operation at any time.
  func delay(before retry: Int, identity: Int64) -> Duration {
    let doublings = min(retry - 1, 40)
    let base = min(Double(backoff.nanoseconds) * Double(1 << doublings), Double(longest.nanoseconds))
    var random = SplitMix64(seed: UInt64(bitPattern: identity) ^ UInt64(retry) << 56)
    return .nanoseconds(Int64(base * (0.75 + 0.5 * random.nextUnit())))
  }
}

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
