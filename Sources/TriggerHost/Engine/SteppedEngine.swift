import TriggerCore
import TriggerLua

/// An engine without threads, for simulation: its holder says which part moves next. Workers, watchdog and
/// readers are those of a host; what stands between their steps is up to the holder.
///
///     worker: idle ──take──▶ holds a batch ──begin──▶ runs ──end──▶ holds a batch ── ... ──take──▶
///
/// The log must not need a thread either. Used by one thread; Lua triggers only.
package final class SteppedEngine {
  /// What a worker runs.
  package struct Running {
    package var trigger: String
    package var seq: Int64
    package var identity: Int64
    package var attempt: Int
  }

  /// How an attempt ends.
  package enum End {
    /// As it likes.
    case itself
    /// The watchdog finds that it has used up its time.
    case killed
    /// Its reads are forgotten, so that no conflict is found: for a simulator that must notice.
    case unchecked
  }

  private struct Seat {
    let worker: Worker
    /// It has a batch of which it has not begun everything.
    var holdsBatch = false
    var running: Int?
    var isInLua = false
    var started = MonotonicTime(nanoseconds: 0)
  }

  private let engine: Engine
  private var seats: [Seat]

  /// Starts: operations of an earlier run are admitted.
  ///
  /// - Parameter interruption: called when an attempt of a worker is about to look at a store, in the middle
  ///   of `end`: others may move then.
  init(_ engine: Engine, interruption: (@Sendable (_ worker: Int) -> Void)? = nil) {
    self.engine = engine
    let general = Array(repeating: Priority.low, count: engine.configuration.workers)
    let functions = interruption == nil ? LuaRunner.functions : LuaRunner.interruptible
    seats = (general + [.critical, .high, .normal]).map { [engine] priority in
      Seat(worker: Worker(engine: engine, name: "\(priority)", atLeast: priority, functions: functions))
    }
    // A cycle, until `end`.
    engine.workers = seats.map(\.worker)
    if let interruption {
      for (number, seat) in seats.enumerated() { seat.worker.lua.interruption = { interruption(number) } }
    }
    engine.admitRecovered()
  }

  /// The process is gone. Nothing may be called afterwards.
  package func end() {
    engine.workers = []
    seats = []
    engine.keys.close()
  }

  // MARK: Workers

  /// The general workers come first, then one for each priority above `low`.
  package var workers: Range<Int> { seats.indices }
  package var generalWorkers: Range<Int> { 0..<engine.configuration.workers }

  /// It may `begin`; otherwise, when it runs nothing, it may `take`.
  package func holdsBatch(_ worker: Int) -> Bool { seats[worker].holdsBatch }

  package func running(_ worker: Int) -> Running? {
    guard let index = seats[worker].running else { return nil }
    let operation = seats[worker].worker.batch[index]
    return Running(
      trigger: operation.trigger.name, seq: operation.seq, identity: operation.identity,
      attempt: Int(operation.attempts))
  }

  /// Inside `end`, that is, in an interruption.
  package func isInLua(_ worker: Int) -> Bool { seats[worker].isInLua }

  /// Hands in what the worker has run, moves the frontier, takes the next batch. How many operations it has.
  package func exchange(_ worker: Int) -> Int {
    precondition(seats[worker].running == nil && !seats[worker].holdsBatch, "worker \(worker) is at work")
    engine.exchange(seats[worker].worker)
    seats[worker].worker.forgetSets()
    seats[worker].started = engine.clock.monotonic()
    seats[worker].holdsBatch = !seats[worker].worker.batch.isEmpty
    return seats[worker].worker.batch.count
  }

  /// The worker begins the next attempt of its batch. False when nothing is left of it.
  package func begin(_ worker: Int) -> Bool {
    precondition(seats[worker].running == nil, "worker \(worker) is at work")
    seats[worker].running = seats[worker].worker.claim()
    if seats[worker].running == nil { seats[worker].holdsBatch = false }
    return seats[worker].running != nil
  }

  /// The attempt that the worker has begun is executed, and ends.
  package func end(_ worker: Int, _ end: End = .itself) {
    guard let index = seats[worker].running, !seats[worker].isInLua else {
      preconditionFailure("worker \(worker) has begun nothing")
    }
    seats[worker].isInLua = true
    let (thread, operation) = (seats[worker].worker, seats[worker].worker.batch[index])
    thread.run(operation)
    // What is left of the run is not to be told from one that ended like this by itself.
    if let attempt = operation.attempt, operation.trigger.kind == .lua {
      switch end {
      case .killed where !operation.isCancelled && !operation.isGone && !operation.isDropped:
        attempt.writes.removeAll()
        attempt.status = .killed
        attempt.failure = Failure(.timeout, "timeout: the attempt used up its time")
      case .unchecked: attempt.reads.removeAll()
      default: break
      }
    }
    thread.report(index, since: seats[worker].started)
    seats[worker].isInLua = false
    seats[worker].running = nil
  }

  // MARK: The watchdog

  /// How things stand after a look of the watchdog.
  package struct Look {
    /// Something is queued or undecided.
    package var isActive: Bool
    /// When a gate lets its held run pass, or a failed operation is tried again.
    package var gateDue: MonotonicTime?
  }

  /// The watchdog's turn.
  ///
  /// - Parameter stuck: workers that it has found in the same attempt twice, and the CPU time that took.
  package func watch(stuck: [(worker: Int, cpuTaken: Int64)] = []) -> Look {
    let turn = engine.turn(defers: true, stuck: stuck.map { (seats[$0.worker].worker, $0.cpuTaken) })
    return Look(isActive: turn.isActive, gateDue: turn.gateDue)
  }

  // MARK: Looking in

  /// Number of the script tree in force.
  package var tree: Int { engine.triggersInForce.tree?.identity.number ?? 0 }
  /// When the next failed operation is tried again.
  package var retryDue: MonotonicTime? { engine.withState { $0.delayed.min?.due } }

  package var frontier: Int64 { engine.withState { $0.order.frontier } }
  /// The newest seq that readers see.
  package var visible: Int64 { engine.registry.visible.load(ordering: .acquiring) }
  /// Admitted and not decided, as those count who wait for the engine to be idle.
  package var unfinished: Int { engine.unfinished.load(ordering: .acquiring) }

  /// A store's digest is wrong from now on: for a simulator that must notice.
  package func falsifyDigest() { engine.stores.existing.first?.digest.falsify() }

  /// A reader that holds on to what it sees.
  package struct Hold {
    fileprivate let slot: SnapshotRegistry.Slot
    package let seq: Int64
  }

  /// Holds the newest visible seq; nil when too many do.
  package func hold() -> Hold? {
    guard let slot = engine.registry.takeSlot() else { return nil }
    return Hold(slot: slot, seq: engine.registry.hold(slot))
  }

  package func giveBack(_ hold: Hold) { engine.registry.giveBack(hold.slot) }

  /// All stores as a hold sees them, and the seq of each one's last change.
  package func contents(at hold: Hold) -> [String: (seq: Int64, content: Value.Map)] {
    var result: [String: (Int64, Value.Map)] = [:]
    for table in engine.stores.existing {
      var content: Value.Map = [:]
      table.scan(prefix: UnsafeBufferPointer(start: nil, count: 0), at: hold.seq) { entry, version in
        let key = UnsafeBufferPointer(start: Entry.key(entry), count: Int(entry.pointee.keyLength))
        let bytes = UnsafeRawBufferPointer(start: Version.bytes(version), count: Int(version.pointee.length))
        content[String(decoding: key, as: UTF8.self)] = try? CanonicalEncoding.decode(bytes)
        return true
      }
      result[table.name] = (table.version(at: hold.seq), content)
    }
    return result
  }
}

extension LuaRunner {
  /// As `functions`, but others may move before each look at a store.
  static let interruptible = LuaHostFunctions(
    store: functions.store,
    get: { runner, store, key, count, length in
      with(runner) { $0.interruption?() }
      return functions.get(runner, store, key, count, length)
    },
    scanBegin: { runner, store, prefix, count in
      with(runner) { $0.interruption?() }
      let cursor = functions.scanBegin(runner, store, prefix, count)
      let interruption = with(runner) { $0.interruption }
      Unmanaged<ScanCursor>.fromOpaque(cursor!)._withUnsafeGuaranteedRef { $0.interruption = interruption }
      return cursor
    },
    scanNext: { cursor, key, keyLength, value, valueLength in
      Unmanaged<ScanCursor>.fromOpaque(cursor!)._withUnsafeGuaranteedRef { $0.interruption?() }
      return functions.scanNext(cursor, key, keyLength, value, valueLength)
    },
    count: { runner, store, prefix, count in
      with(runner) { $0.interruption?() }
      return functions.count(runner, store, prefix, count)
    },
    version: { runner, store in
      with(runner) { $0.interruption?() }
      return functions.version(runner, store)
    },
    log: functions.log, source: functions.source)
}
