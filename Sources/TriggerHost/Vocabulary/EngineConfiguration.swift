import Glibc
import TriggerCore

/// How an engine runs. The defaults suit a host with nothing to configure.
public struct EngineConfiguration: Sendable {
  /// What happens to an event when the queue is full.
  public enum WhenFull: String, Sendable, CaseIterable {
    /// The source waits for room.
    case wait
    /// The source gets an error that says so.
    case refuse
  }

  /// General worker threads, 1 to 64. Reserve workers for higher priorities come on top and sleep until
  /// the general ones are all held up.
  public var workers: Int
  /// Most operations waiting in the queue. Events that commits emit pass this bound.
  public var queueCapacity = 100_000
  /// For `TriggerQueue.enqueue` and `perform`; `offer` never waits.
  public var whenFull = WhenFull.wait
  /// `order: strict`: nothing is deferred, a slow operation holds up every later commit.
  public var strictOrder = false
  /// How long a finished operation waits before lower-priority ones ahead of it are deferred.
  public var grace: Duration = .milliseconds(1)
  /// How long anything may hold up a finished operation.
  public var hold: Duration = .milliseconds(10)
  /// A script may only use stores that were registered.
  public var strictStores = false
  /// Seed of every `math.random`; part of what makes a run repeatable.
  public var seed: UInt64 = 0
  /// Records of decided seqs kept in memory, a power of two; any other number traps.
  public var recordsKept = 65_536

  /// Hops from one cause: an operation that far down a chain of emitted events fails (`loop`) when it emits
  /// again. 1 to 250; what is set beyond counts as the nearest of these.
  public var maximumHops = 64 {
    didSet { maximumHops = min(max(maximumHops, 1), 250) }
  }
  /// Events that one commit may emit; the operation fails beyond.
  public var maximumEmits = 1000
  /// Operations that may come of one cause, over all hops: two emits a hop would be 2^64. Beyond, what would
  /// add more fails (`loop`).
  public var maximumOffspring = 100_000

  /// Keys of senders that may be known at a time: those of a day. An event with a new one is refused beyond. Each
  /// takes 24 bytes of memory. Where no log keeps them a key takes about 200, and a fifth as many may be known.
  public var keys = 10_000_000

  package func keys(areInLog: Bool) -> Int { areInLog ? keys : max(1, keys / 5) }

  /// Superseded versions that may be kept for snapshots. Beyond, the execution that holds the oldest one is a
  /// conflict; when that happens to it again, it fails with `snapshot_too_old`.
  public var retainedVersions = 1_000_000

  /// How long an attempt of a Swift trigger may take. Beyond, it is given up: it fails, what it does later counts
  /// nothing, and the trigger does not run again until the host is started again.
  public var longestSwiftAttempt: Duration = .seconds(3600)

  /// Attempts that could not be ended and go on, with the lowest priority: beyond, the host asks to be started again and
  /// is not ready any more. By default two for each worker.
  public var mostStuck: Int {
    get { mostStuckSet ?? 2 * workers }
    set { mostStuckSet = newValue }
  }
  private var mostStuckSet: Int?

  /// Receivers are called where an outcome is told, and not on threads of their own: where there are none, in a
  /// simulation.
  package var tellsInPlace = false
  package var valueLimits = ValueLimits()
  /// What may be in stores, by name: where the backend that would say so is not there, as in tests and replays.
  package var rules: [String: any StoreRule] = [:]
  /// Most undecided seqs at a time, a power of two: what may pile up behind the frontier.
  package var window = 16_384
  /// Operations behind a conflict that are checked at once.
  package var staleChecks: Int64 = 32
  /// Most undecided seqs while the frontier moves.
  package var runAhead = 256
  /// Most operations a worker takes at a time, and about how much work (nanoseconds) that may be.
  package var batch = 16
  package var batchNanoseconds: Int64 = 100_000
  package var commitsPerReclaim = 256
  package var conflictsBeforeReservation: Int32 = 3
  package var maximumStores = 10_000
  /// Every so many seqs a record says what the stores hold that have changed.
  package var digestInterval: Int64 = 65_536
  /// Events that a queued operation may take the place of, when each has somebody who waits for it; the next one is an
  /// operation of its own.
  package var mostAbsorbed = 10_000
  package var maximumIntents: UInt32 = 10_000
  package var maximumOutputBytes = 16 << 20
  /// CPU time that an attempt may go on after its end was asked for (ten times that in wall time) before its
  /// worker is given up. An attempt that is not stuck takes a fraction of a millisecond; freeing its memory, more.
  package var abandonAfter: Duration = .seconds(10)
  /// For tests: called on the worker before each look of a script at a store.
  package var interruption: (@Sendable () -> Void)?
  /// Measures for how long the engine lock is held, by this clock; nil: nobody asks.
  package var lockMeter: clockid_t?
  /// How often the watchdog looks while anything runs.
  package var tick: Duration = .microseconds(500)

  /// - Parameter workers: default: one per core.
  public init(workers: Int) { self.workers = workers }
}

extension Duration {
  /// Whole nanoseconds.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
