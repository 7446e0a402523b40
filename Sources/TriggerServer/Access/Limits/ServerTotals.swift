import Synchronization

/// What came to a server, and what it refused, since it was made: `AccessControl.totals`.
public struct ServerTotals: Hashable, Sendable {
  /// Requests whose head came whole.
  public internal(set) var requests = 0
  /// Requests that were refused, by code, whatever the reason; codes that never were are not there. Lines of a body that
  /// were refused are not among them.
  public internal(set) var refused: [Problem.Code: Int] = [:]
  /// Connections that are open now.
  public internal(set) var connections = 0
  /// Connections that were opened.
  public internal(set) var connectionsOpened = 0
  /// Connections that were closed at once, since there were too many.
  public internal(set) var connectionsRefused = 0

  init() {}
}

/// Counts. Any thread.
final class ServerTally: Sendable {
  private let requests = Atomic(0)
  private let state = Mutex(ServerTotals())

  var totals: ServerTotals {
    var totals = state.withLock { $0 }
    totals.requests = requests.load(ordering: .relaxed)
    return totals
  }

  func noteRequest() { requests.wrappingAdd(1, ordering: .relaxed) }

  func note(refused code: Problem.Code) { state.withLock { $0.refused[code, default: 0] += 1 } }

  func noteConnection(isRefused: Bool) {
    state.withLock {
      if isRefused { $0.connectionsRefused += 1 } else { $0.connectionsOpened += 1 }
    }
  }
}
