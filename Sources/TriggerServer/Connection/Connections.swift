import Foundation
import NIOCore
import Synchronization

/// The connections that are open, each with its turns and with who has asked on it. Any thread.
final class Connections: Sendable {
  /// Why a connection is closed that nobody else closes.
  enum End: Sendable {
    /// The server ends.
    case stop
    /// Who asked on it is no longer let in: its token was revoked or has expired, or the first token was made.
    case access
  }

  private struct Connection {
    let channel: any Channel
    let turns: ConnectionTurns
    /// Who has asked on it last: whose request is under way, if there is one.
    var caller: Caller?
    var close: @Sendable (End) -> Void
  }

  private struct State {
    var open: [ObjectIdentifier: Connection] = [:]
    var isOver = false
    var whenNone: [Once<Void>] = []
  }
  private let state = Mutex(State())
  private let turns = Turns()

  /// How many are open.
  var count: Int { state.withLock { $0.open.count } }

  /// On how many of them somebody has asked who was let in.
  var asked: Int { state.withLock { $0.open.values.count { $0.caller != nil } } }

  /// Keeps a connection in mind until it is closed.
  func add(_ channel: any Channel) {
    let id = ObjectIdentifier(channel)
    let connection = Connection(
      channel: channel, turns: turns.join(channel.eventLoop),
      close: { _ in channel.close(promise: nil) })
    let isOver = state.withLock { state in
      if !state.isOver { state.open[id] = connection }
      return state.isOver
    }
    if isOver { return channel.close(promise: nil) }
    channel.closeFuture.whenComplete { [self] _ in
      // Let go outside of the lock.
      let (gone, waiting) = state.withLock { state in
        let gone = state.open.removeValue(forKey: id)
        defer { if state.open.isEmpty { state.whenNone = [] } }
        return (gone, state.open.isEmpty ? state.whenNone : [])
      }
      withExtendedLifetime(gone) { for once in waiting { once.tell(()) } }
    }
  }

  /// The turns of a connection; nil when it is closed.
  func turns(of channel: any Channel) -> ConnectionTurns? {
    state.withLock { $0.open[ObjectIdentifier(channel)]?.turns }
  }

  /// Suspends until none is open.
  func untilNone() async {
    let once = Once<Void>()
    let isNone = state.withLock { state in
      if !state.open.isEmpty { state.whenNone.append(once) }
      return state.open.isEmpty
    }
    if !isNone { await once.value() }
  }

  // MARK: Ends

  /// Says how a connection is closed that the server closes: a WebSocket says why before. Until then it is just closed.
  ///
  /// - Parameter close: called once at most for each reason, on any thread; must not block.
  func close(_ channel: any Channel, by close: @escaping @Sendable (End) -> Void) {
    state.withLock { $0.open[ObjectIdentifier(channel)]?.close = close }
  }

  /// A caller asks on the connection. When it is no longer let in, `closeThose` closes the connection, unless somebody else
  /// has asked on it since: a proxy asks for many.
  ///
  /// - Returns: whether another had asked before, or nobody.
  func note(_ caller: Caller, on channel: any Channel) -> Bool {
    state.withLock { state in
      let id = ObjectIdentifier(channel)
      guard let connection = state.open[id], connection.caller != caller else { return false }
      state.open[id]?.caller = caller
      return true
    }
  }

  /// Closes the connections on which somebody has asked last of whom this is true. O(connections)
  func closeThose(where isGone: (Caller) -> Bool) {
    let all = state.withLock { Array($0.open.values) }
    for connection in all {
      if let caller = connection.caller, isGone(caller) { connection.close(.access) }
    }
  }

  /// Closes one connection if somebody has asked on it last of whom this is true.
  func closeThose(on channel: any Channel, where isGone: (Caller) -> Bool) {
    let connection = state.withLock { $0.open[ObjectIdentifier(channel)] }
    if let connection, let caller = connection.caller, isGone(caller) { connection.close(.access) }
  }

  /// Closes all, and whatever comes later.
  func closeAll() {
    let open = state.withLock { state in
      state.isOver = true
      return Array(state.open.values)
    }
    for connection in open { connection.close(.stop) }
  }

  /// At most as many as asked for, and as the system lets this process have beside its files: half the descriptors that
  /// are allowed now.
  static func most(_ wanted: Int) -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return wanted }
    return max(8, min(wanted, Int(clamping: limit.rlim_cur) / 2))
  }
}
