import DequeModule
import Dispatch
import Glibc
import Synchronization
import TriggerCore
import TriggerHost

/// Executes a log again on several threads and finds the first seq whose execution does not give what the
/// log says.
///
/// The caller's thread applies the records in order; the stores keep versions, so workers execute each on the
/// state before it meanwhile. What is found does not depend on their number.
///
///     caller: apply 1...64 ─▶ queue ─▶ worker: execute 1 as of 0, 2 as of 1, ...
///             apply 65...128 ─▶        another worker: execute 65 as of 64, ...
///
/// Memory: the state, and the versions of a few hundred records. One thread uses it; it has its own others.
public final class Verification {
  /// What came of it. When a seq differs, the counts are of those up to it.
  public struct Verdict: Sendable, Hashable {
    /// Seqs that were executed and compared.
    public var executed = 0
    /// Seqs that were applied only: they were deferred, skipped or ended from outside, or belong to Swift
    /// triggers.
    public var applied = 0
    /// The lowest seq that differs; nil when none does.
    public var difference: Replayer.Difference?
  }

  /// Records for one worker, in order.
  private final class Batch: @unchecked Sendable {  // handed over whole, and back when it is done
    static let size = 64
    let records = RecordBatch()
    /// As they are when all up to the item of the same place are the same.
    @exclusivity(unchecked) var verdicts: [Verdict] = []
    var first: Int64 { records.items[0].seq }

    func removeAll() {
      records.removeAll()
      verdicts.removeAll(keepingCapacity: true)
    }
  }

  private struct Shared {
    /// Nil: the end, once for each worker.
    var queue: Deque<Batch?> = []
    /// First seqs of batches that are queued or being executed, in order.
    var unfinished: [Int64] = []
    /// Of the lowest difference so far.
    var verdict: Verdict?
    /// Done, to be filled again.
    var empty: [Batch] = []
  }

  private final class Hall: Sendable {
    let shared = Mutex(Shared())
    /// The seq of the lowest difference so far: later ones need no look.
    let limit = Atomic<Int64>(.max)
    let items = DispatchSemaphore(value: 0)
    let room: DispatchSemaphore
    init(room: Int) { self.room = DispatchSemaphore(value: room) }
  }

  private let state: ReplayState
  private let scripts: RecordedScripts
  private let hall: Hall
  private let guardian = AttemptGuard()
  private var threads: [pthread_t] = []
  // The caller's thread only: no two accesses overlap (Architecture.md, Targets).
  @exclusivity(unchecked) private var batch = Batch()
  @exclusivity(unchecked) private var verdict = Verdict()
  /// Of the newest record.
  @exclusivity(unchecked) private var tree: RecordedScripts.Tree?
  @exclusivity(unchecked) private var names = NamePlaces()
  /// Of the tree, by the places of their names; nil: it has none of the name.
  @exclusivity(unchecked) private var triggers: [LoadedTrigger?] = []

  /// Starts the workers.
  ///
  /// - Parameters:
  ///   - workers: threads that execute, from 1.
  ///   - stores: content before the first commit.
  ///   - configuration: limits and seed as they were.
  ///   - scripts: the tree of a number, nil when it is not known; called on the caller's thread.
  public init(
    workers: Int, stores: [String: Value.Map] = [:],
    configuration: EngineConfiguration = EngineConfiguration(),
    scripts: @escaping (_ tree: Int) throws -> ScriptTree?
  ) {
    precondition(workers > 0, "a verification needs a worker")
    state = ReplayState(configuration: configuration)
    state.fill(stores)
    self.scripts = RecordedScripts(seed: configuration.seed, scripts)
    hall = Hall(room: workers + 2)
    for number in 0..<workers {
      let (hall, guardian, directory) = (hall, guardian, state.stores)
      // Lua's C recursion needs a large stack, see Worker.
      threads.append(
        Thread.spawn(name: "verify-\(number)", stackBytes: 16 << 20) {
          Self.work(
            hall, RecordCheck(stores: directory, configuration: configuration, guardian: guardian))
        })
    }
  }

  deinit { end() }

  // MARK: The caller's thread

  /// For who brings the state to where a checkpoint ends.
  package var recovery: Recovery { state.recovery }
  /// Applies a record before the first that is to be checked.
  package func apply(_ record: RecordView) throws { try state.apply(record, reclaiming: true) }

  /// Takes the next record, to be applied and executed. May wait for workers.
  ///
  /// - Returns: false when a lower seq differs already: no later record can change the verdict.
  /// - Throws: `LogDamage` when it does not follow the one before, or cannot be applied; what `scripts`
  ///   throws.
  public func check(_ record: LogRecord) throws -> Bool { try record.withView { try check($0) } }

  /// As above, without copying more than an execution needs.
  package func check(_ record: RecordView) throws -> Bool {
    guard RecordCheck.canExecute(record) else {
      try state.apply(record, reclaiming: false)
      verdict.applied += 1
      if verdict.applied % 256 == 0 { reclaim() }
      return true
    }
    let trigger = try trigger(of: record)
    try state.apply(record, reclaiming: false)
    verdict.executed += 1
    batch.records.add(record, trigger)
    batch.verdicts.append(verdict)
    guard batch.verdicts.count == Batch.size else { return true }
    handOver()
    return hall.limit.load(ordering: .relaxed) > record.seq
  }

  /// Waits for what is being executed. Nothing can be checked afterwards.
  public func finish() -> Verdict {
    if !batch.verdicts.isEmpty { handOver() }
    end()
    return hall.shared.withLock { $0.verdict } ?? verdict
  }

  private func trigger(of record: RecordView) throws -> LoadedTrigger? {
    if tree?.loaded.identity.number != record.tree {
      tree = try scripts.tree(record.tree)
      names = NamePlaces()
    }
    if let place = names.place(of: record.trigger) { return triggers[place] }
    let trigger = tree!.triggers[record.trigger.utf8Text]
    let place = names.add(record.trigger)
    triggers.removeSubrange(place...)
    triggers.append(trigger)
    return trigger
  }

  private func handOver() {
    hall.room.wait()
    let full = batch
    batch = hall.shared.withLock {
      $0.unfinished.append(full.first)
      $0.queue.append(full)
      return $0.empty.popLast() ?? Batch()
    }
    hall.items.signal()
    reclaim()
  }

  /// A batch reads from the seq before its first on.
  private func reclaim() {
    let oldest = hall.shared.withLock { $0.unfinished.first } ?? (batch.verdicts.isEmpty ? nil : batch.first)
    state.reclaim(horizon: oldest.map { $0 - 1 } ?? state.seq)
  }

  private func end() {
    hall.shared.withLock { for _ in threads { $0.queue.append(nil) } }
    for _ in threads { hall.items.signal() }
    for thread in threads { pthread_join(thread, nil) }
    threads = []
  }

  // MARK: The workers' threads

  private static func work(_ hall: Hall, _ check: RecordCheck) {
    while true {
      hall.items.wait()
      guard let batch = hall.shared.withLock({ $0.queue.removeFirst() }) else { return }
      for (index, item) in batch.records.items.enumerated()
      where item.seq < hall.limit.load(ordering: .relaxed) {
        if let difference = check.difference(item, of: batch.records) {
          found(difference, batch.verdicts[index], hall)
          break
        }
      }
      let first = batch.first
      batch.removeAll()
      hall.shared.withLock {
        $0.unfinished.removeAll { $0 == first }
        $0.empty.append(batch)
      }
      hall.room.signal()
    }
  }

  private static func found(_ difference: Replayer.Difference, _ verdict: Verdict, _ hall: Hall) {
    hall.shared.withLock { shared in
      if let known = shared.verdict?.difference, known.seq <= difference.seq { return }
      shared.verdict = verdict
      shared.verdict?.difference = difference
      hall.limit.store(difference.seq, ordering: .relaxed)
    }
  }
}
