import Foundation
import NIOCore
import Synchronization

/// The connections that are open. Any thread.
final class Connections: Sendable {
  private struct State {
    var open: [ObjectIdentifier: any Channel] = [:]
    var isOver = false
  }
  private let state = Mutex(State())

  /// How many are open.
  var count: Int { state.withLock { $0.open.count } }

  /// Keeps a connection in mind until it is closed.
  func add(_ channel: any Channel) {
    let id = ObjectIdentifier(channel)
    let isOver = state.withLock { state in
      if !state.isOver { state.open[id] = channel }
      return state.isOver
    }
    if isOver { return channel.close(promise: nil) }
    channel.closeFuture.whenComplete { [self] _ in state.withLock { _ = $0.open.removeValue(forKey: id) } }
  }

  /// Closes all, and whatever comes later.
  func closeAll() {
    let open = state.withLock { state in
      state.isOver = true
      return Array(state.open.values)
    }
    for channel in open { channel.close(promise: nil) }
  }

  /// At most as many as asked for, and as the system lets this process have beside its files: half the descriptors that
  /// are allowed now.
  static func most(_ wanted: Int) -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return wanted }
    return max(8, min(wanted, Int(clamping: limit.rlim_cur) / 2))
  }
}
