import Synchronization

/// How much of what a trigger says is shown: 1 MB in a second of its log lines, and as much of its failures. What comes
/// beyond is counted, and said once the second is over. Any thread.
package final class LineLimit: Sendable {
  package static let bytesInASecond = 1_000_000

  package enum Kind: Hashable { case lines, failures }

  private struct Source: Hashable {
    var trigger: String
    var kind: Kind
  }
  private struct State {
    var second = ContinuousClock.now
    /// In this second; only triggers that say something.
    var bytes: [Source: Int] = [:]
    var dropped: [String: Int] = [:]
  }
  private let state = Mutex(State())

  package init() {}

  /// False when it is one too many.
  package func passes(
    _ bytes: Int, of trigger: String, _ kind: Kind = .lines, at now: ContinuousClock.Instant = .now
  )
    -> Bool
  {
    state.withLock { state in
      Self.begin(&state, now)
      let source = Source(trigger: trigger, kind: kind)
      let before = state.bytes[source, default: 0]
      guard before < Self.bytesInASecond else {
        state.dropped[trigger, default: 0] += 1
        return false
      }
      state.bytes[source] = before + bytes
      return true
    }
  }

  /// Lines of an execution that were not even kept.
  package func drop(_ count: Int, of trigger: String) {
    if count > 0 { state.withLock { $0.dropped[trigger, default: 0] += count } }
  }

  /// What was dropped since this was asked last, by name of the trigger: to be said once in a while.
  package func takeDropped() -> [(trigger: String, count: Int)] {
    let dropped = state.withLock { state in
      defer { state.dropped = [:] }
      return state.dropped
    }
    return dropped.sorted { $0.key < $1.key }.map { (trigger: $0.key, count: $0.value) }
  }

  private static func begin(_ state: inout State, _ now: ContinuousClock.Instant) {
    if now - state.second < .seconds(1) { return }
    state.second = now
    state.bytes.removeAll(keepingCapacity: true)
  }
}
