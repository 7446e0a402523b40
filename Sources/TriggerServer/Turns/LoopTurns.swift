import NIOCore
import Synchronization

/// Runs what the connections of one event loop have to do, on this loop, in fair turns by the time that each takes: reading
/// a piece of what came, and the tasks that serve its requests. Any thread adds.
///
/// A connection that floods has its share of the loop and no more; one that asks now and then goes next.
final class LoopTurns: Sendable {
  fileprivate enum Work {
    case job(UnownedJob)
    case step(@Sendable () -> Void)
  }

  private struct State {
    var turns = FairTurns<(Work, ConnectionTurns)>()
    /// The loop runs turns, or is about to.
    var isAwake = false
  }

  /// For so long works are done before the loop looks after its sockets: others may wait there.
  private static let round: Int64 = 2_000_000
  /// A loop looks after its sockets when it has no task to run. So for a moment it has none.
  private static let pause = TimeAmount.microseconds(250)

  private let loop: any EventLoop
  private let state = Mutex(State())

  init(_ loop: any EventLoop) { self.loop = loop }

  /// A connection's turns.
  func join() -> ConnectionTurns { ConnectionTurns(self, state.withLock { $0.turns.join() }) }

  fileprivate func leave(_ member: Int) { state.withLock { $0.turns.leave(member) } }

  fileprivate func add(_ work: Work, of connection: ConnectionTurns) {
    let wasAwake = state.withLock { state in
      state.turns.add((work, connection), of: connection.member)
      defer { state.isAwake = true }
      return state.isAwake
    }
    if !wasAwake { loop.execute { self.run() } }
  }

  private func run() {
    let start = Self.now
    var time = start
    // A connection is let go outside of the lock, once its work is charged.
    var done: (connection: ConnectionTurns, cost: Int64)?
    while true {
      let isLong = time - start > Self.round
      let (next, isAwake) = state.withLock { state in
        if let done { state.turns.charge(done.cost, to: done.connection.member) }
        let next = isLong ? nil : state.turns.next()?.work
        if next == nil { state.isAwake = !state.turns.isEmpty }
        return (next, state.isAwake)
      }
      guard let (work, connection) = next else {
        if isAwake { loop.scheduleTask(in: Self.pause) { self.run() } }
        return
      }
      switch work {
      case .job(let job): job.runSynchronously(on: connection.asUnownedTaskExecutor())
      case .step(let step): step()
      }
      let end = Self.now
      done = (connection, end - time)
      time = end
    }
  }

  private static var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }
}

/// What one connection has to do, in its turn: the executor of its tasks. Any thread.
final class ConnectionTurns: TaskExecutor {
  private let turns: LoopTurns
  fileprivate let member: Int

  fileprivate init(_ turns: LoopTurns, _ member: Int) { (self.turns, self.member) = (turns, member) }

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
