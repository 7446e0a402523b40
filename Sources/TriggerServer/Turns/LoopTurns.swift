import Glibc
import NIOCore
import Synchronization
import TriggerHost

/// Runs what the connections of one event loop have to do, on this loop, in fair turns by the time that each takes: reading
/// a piece of what came, and the tasks that serve its requests. Any thread adds.
///
/// A connection that floods has its share of the loop and no more; one that asks now and then goes next. What is urgent
/// does not wait for what is not, however many want that.
final class LoopTurns: Sendable {
  fileprivate enum Work {
    case job(UnownedJob)
    case step(@Sendable () -> Void)
  }

  fileprivate typealias WorkTurns = PriorityTurns<(Work, ConnectionTurns)>

  private struct State {
    var turns = WorkTurns()
    /// The loop runs turns, or is about to.
    var isAwake = false
  }

  /// For so long works are done before the loop looks after its sockets: others may wait there.
  private static let round: Int64 = 2_000_000
  /// A loop looks after its sockets when it has no task to run. So for a moment it has none.
  private static let pause = TimeAmount.microseconds(30)

  private let loop: any EventLoop
  private let state = Mutex(State())

  init(_ loop: any EventLoop) { self.loop = loop }

  /// A connection's turns.
  func join() -> ConnectionTurns { ConnectionTurns(self, state.withLock { $0.turns.join() }) }

  fileprivate func leave(_ member: WorkTurns.Member) {
    state.withLock { $0.turns.leave(member) }
  }

  fileprivate func add(_ work: Work, of connection: ConnectionTurns) {
    let wasAwake = state.withLock { state in
      state.turns.add((work, connection), of: connection.member, connection.priority)
      defer { state.isAwake = true }
      return state.isAwake
    }
    if !wasAwake { loop.execute { self.run() } }
  }

  private func run() {
    var watch = WorkWatch()
    // A connection is let go outside of the lock, once its work is charged.
    var done: (connection: ConnectionTurns, turn: WorkTurns.Turn, cost: Int64)?
    while true {
      let isLong = watch.elapsed > Self.round
      let (next, isAwake) = state.withLock { state in
        if let done { state.turns.charge(done.cost, to: done.turn) }
        let next = isLong ? nil : state.turns.next()
        if next == nil { state.isAwake = !state.turns.isEmpty }
        return (next, state.isAwake)
      }
      guard let (turn, (work, connection)) = next else {
        if isAwake { loop.scheduleTask(in: Self.pause) { self.run() } }
        return
      }
      switch work {
      case .job(let job): job.runSynchronously(on: connection.asUnownedTaskExecutor())
      case .step(let step): step()
      }
      done = (connection, turn, watch.lap())
    }
  }
}

/// Measures works that a thread does one after another, in nanoseconds.
///
/// Who is charged for a work pays for what the thread has done, not for the time in which the system ran others: on a busy
/// machine that would be most of it, and would fall on whoever has the turn. The thread's own clock costs a system call, so
/// only works that seem long are measured by it.
private struct WorkWatch {
  /// What no work takes that nobody interrupts, but for a few.
  private static let long: Int64 = 100_000

  private let start = now
  private var last: Int64
  /// The thread's time when it was looked at, and what was charged since.
  private var used = ownTime
  private var charged: Int64 = 0

  init() { last = start }

  /// Since the watch was made, by the wall.
  var elapsed: Int64 { last - start }

  /// A work is done, and the next begins: what it cost.
  mutating func lap() -> Int64 {
    let now = Self.now
    defer { last = now }
    let took = now - last
    if took < Self.long {
      charged += took
      return took
    }
    let time = Self.ownTime
    defer { (used, charged) = (time, 0) }
    return min(took, max(1, time - used - charged))
  }

  private static var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }

  private static var ownTime: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

/// What one connection has to do, in its turn: the executor of its tasks. Any thread.
final class ConnectionTurns: TaskExecutor {
  private let turns: LoopTurns
  fileprivate let member: LoopTurns.WorkTurns.Member
  /// Nobody knows yet what a new connection wants: it is not made to wait behind those who flood.
  private let lane = Atomic<UInt8>(Priority.high.rawValue)

  fileprivate init(
    _ turns: LoopTurns, _ member: LoopTurns.WorkTurns.Member
  ) {
    (self.turns, self.member) = (turns, member)
  }

  /// How urgent is what the connection has to do from now on.
  var priority: Priority {
    get { Priority(rawValue: lane.load(ordering: .relaxed)) ?? .normal }
    set { lane.store(newValue.rawValue, ordering: .relaxed) }
  }

  deinit { turns.leave(member) }

  func enqueue(_ job: consuming ExecutorJob) { turns.add(.job(UnownedJob(job)), of: self) }

  func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }

  /// Does something on the connection's event loop.
  func perform(_ step: @escaping @Sendable () -> Void) { turns.add(.step(step), of: self) }
}

/// The turns of all event loops. Any thread.
final class Turns: Sendable {
  private let loops = Mutex<[ObjectIdentifier: LoopTurns]>([:])

  /// The turns of a new connection.
  func join(_ loop: any EventLoop) -> ConnectionTurns {
    loops.withLock { loops in
      let known = loops[ObjectIdentifier(loop)] ?? LoopTurns(loop)
      loops[ObjectIdentifier(loop)] = known
      return known.join()
    }
  }
}
