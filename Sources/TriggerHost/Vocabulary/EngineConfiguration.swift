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

  /// General worker threads, 1 to 64. The engine adds reserve workers for higher priorities. They sleep until all
  /// general workers are held up.
  public var workers: Int
  /// The most operations that wait in the queue. A tenth more may wait of priority `high` and `critical`. The bound does
  /// not hold for events that commits emit.
  public var queueCapacity = 100_000
  /// What `TriggerQueue.enqueue` and `perform` do when the queue is full. `offer` never waits.
  public var whenFull = WhenFull.wait
  /// `order: strict`: the engine defers no operation, so a slow operation holds up every later commit.
  public var strictOrder = false
  /// How long a finished operation waits before the engine defers operations of lower priority ahead of it.
  public var grace: Duration = .milliseconds(1)
  /// How long operations of any priority may hold up a finished operation before the engine defers them.
  public var hold: Duration = .milliseconds(10)
  /// True: a script may only use stores that were registered.
  public var strictStores = false
  /// Seed of every `math.random`. A run that is repeated needs the same seed.
  public var seed: UInt64 = 0
  /// How many records of decided seqs stay in memory: a power of two. Any other number traps.
  public var recordsKept = 65_536

  /// The most hops from one cause. An operation that is so many hops down a chain of emitted events fails (`loop`)
  /// when it emits again. 1 to 250; a number outside becomes the nearest of these.
  public var maximumHops = 64 {
    didSet { maximumHops = min(max(maximumHops, 1), 250) }
  }
  /// The most events that one commit may emit. An operation that emits more fails (`emits`).
  public var maximumEmits = 1000
  /// The most operations that may come of one cause, over all hops. The bound on hops alone is not enough: with two
  /// emits a hop, 64 hops make 2^64 operations. An operation that would add more fails (`offspring`).
  public var maximumOffspring = 100_000

  /// The most keys of senders that the engine knows at a time. It knows a key for a day. At the limit it refuses an
  /// event with a new key. A key takes 24 bytes of memory. Where no log keeps the keys, a key takes about 200 bytes,
  /// and the limit is a fifth.
  public var keys = 10_000_000

  package func keys(areInLog: Bool) -> Int { areInLog ? keys : max(1, keys / 5) }

  /// The most superseded versions that the stores keep for snapshots. Beyond it, the execution with the oldest
  /// snapshot loses the snapshot and runs again. The second time its operation fails (`snapshot_too_old`).
  public var retainedVersions = 1_000_000

  /// How long an attempt of a Swift trigger may take. After this the engine gives the attempt up: its operation fails
  /// (`stuck`), its later results are ignored, and the trigger does not run again until the host is restarted.
  public var longestSwiftAttempt: Duration = .seconds(3600)

  /// How many attempts may be stuck at a time. With more the host is not ready, and asks to be restarted. Default: two
  /// per worker.
  public var mostStuck: Int {
    get { mostStuckSet ?? 2 * workers }
    set { mostStuckSet = newValue }
  }
  private var mostStuckSet: Int?

  /// True: receivers are called on the thread that tells the outcome. For simulations, which have no other threads.
  package var tellsInPlace = false
  package var valueLimits = ValueLimits()
  /// Which keys and values a store refuses, by the store's name. For tests and replays, which run without the backend
  /// that knows this.
  package var rules: [String: any StoreRule] = [:]
  /// The most undecided seqs at a time, a power of two. So many may pile up behind a frontier that stands still.
  package var window = 16_384
  /// How many seqs behind a conflict are checked for conflicts at once.
  package var staleChecks: Int64 = 32
  /// The most undecided seqs while the frontier moves.
  package var runAhead = 256
  /// The most operations that a worker takes at a time, and about how much work they may be, in nanoseconds.
  package var batch = 16
  package var batchNanoseconds: Int64 = 100_000
  package var commitsPerReclaim = 256
  package var conflictsBeforeReservation: Int32 = 3
  package var maximumStores = 10_000
  /// Every so many seqs a record contains the digests of the stores that have changed since.
  package var digestInterval: Int64 = 65_536
  /// How many events one queued operation may supersede while their senders wait for answers. The next event becomes
  /// an operation of its own.
  package var mostAbsorbed = 10_000
  package var maximumIntents: UInt32 = 10_000
  package var maximumOutputBytes = 16 << 20
  /// How much CPU time an attempt may use after the engine has asked it to end, before the engine gives its worker up.
  /// Ten times that in wall time counts too. An attempt that is not stuck ends in a fraction of a millisecond; freeing
  /// its memory takes longer.
  package var abandonAfter: Duration = .seconds(10)
  /// For tests: called on the worker's thread before a script reads a store.
  package var interruption: (@Sendable () -> Void)?
  /// The clock that measures for how long threads hold the engine lock; nil: nothing is measured.
  package var lockMeter: clockid_t?
  /// How often the watchdog looks while anything runs.
  package var tick: Duration = .microseconds(500)

  /// - Parameter workers: general worker threads, 1 to 64.
  public init(workers: Int) { self.workers = workers }
}

extension Duration {
  /// Whole nanoseconds.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
