import Synchronization

/// The port through which effects leave a host: messages to sessions, and broadcasts.
///
/// A host gives each receiver the effects of durable commits: all of them, in the order of their ids, each at least
/// once. It gives the next ones when `receive` has returned, so a slow receiver holds up nobody but itself: what waits is
/// in the log. How far a receiver has come is kept in the log under its name. After a crash it gets some effects again.
///
/// `MemoryEffectReceiver` is the readable definition. `EffectReceiverContract` of the test kit checks others.
public protocol EffectReceiver: Sendable {
  /// The name under which the log keeps how far the receiver has come. Unique in a host, and the same at every start. A
  /// receiver that is new begins with the commits after the start.
  var name: String { get }

  /// Takes effects: when this returns they are where they belong. One call after the other, on the cooperative pool; the
  /// host cancels the task when it stops and the call takes too long.
  ///
  /// - Parameter effects: at least one, in the order of their ids. An effect that was taken before comes again after a
  ///   crash, or when the call before threw: it has the same id, and is not to be taken twice.
  /// - Throws: why they could not be taken. The host calls again with the same effects, later.
  func receive(_ effects: [Effect]) async throws
}

/// Keeps the effects in memory, each once: for tests. Any thread.
public final class MemoryEffectReceiver: EffectReceiver {
  /// Its name.
  public let name: String
  private let taken = Mutex<[Effect]>([])

  /// - Parameter name: its name.
  public init(name: String) { self.name = name }

  /// Keeps those that are new.
  public func receive(_ effects: [Effect]) async {
    taken.withLock { taken in
      for effect in effects where taken.last.map({ $0.id < effect.id }) ?? true { taken.append(effect) }
    }
  }

  /// The effects so far, in the order of their ids.
  public var effects: [Effect] { taken.withLock { $0 } }
}
