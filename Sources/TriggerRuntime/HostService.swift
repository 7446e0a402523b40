import ServiceLifecycle
import Synchronization
import TriggerHost

extension RunningHost: Service {
  /// Reads the feeds, and runs until the service group shuts down, the task is cancelled, or somebody calls `stop`; then
  /// stops. Once.
  ///
  /// - Throws: `HostFailed` when the log could take nothing more; `HostNotReady` when a feed cannot be read, which has
  ///   been said. The host has stopped then, too.
  public func run() async throws {
    let result = await withTaskGroup(of: Result<Void, any Error>?.self) { group in
      group.addTask { [feeds] in
        do { try await feeds.run() } catch is CancellationError {} catch is QueueStopped {} catch {
          return .failure(error)
        }
        return nil
      }
      group.addTask { [endSignal] in
        await withGracefulShutdownHandler {
          for await _ in endSignal.isOver {}
        } onGracefulShutdown: {
          endSignal.hostEnds()
        }
        return .success(())
      }
      var result: Result<Void, any Error>?
      while result == nil, let next = await group.next() { result = next }
      // A feed that waits for room goes on when the queue takes nothing more.
      stopTaking()
      endSignal.hostEnds()
      group.cancelAll()
      return result
    }
    await stop()
    if let reason = endSignal.reason { throw HostFailed(reason: reason) }
    try result?.get()
  }
}

/// A host as one service, from the opening of its data directory to its end: for a `ServiceGroup` beside others.
///
/// ```swift
/// let host = HostService(HostPlaces(directory: "market"), options)
/// try await ServiceGroup(services: [host], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
public struct HostService: Service {
  private let places: HostPlaces
  private let options: HostOptions
  private let started: @Sendable (RunningHost) async throws -> Void

  /// - Parameter started: gets the host once it runs: to send events, for one.
  public init(
    _ places: HostPlaces, _ options: HostOptions = HostOptions(),
    started: @escaping @Sendable (RunningHost) async throws -> Void = { _ in }
  ) {
    (self.places, self.options, self.started) = (places, options, started)
  }

  /// Opens, recovers, starts and runs the host, and stops it when the group shuts down.
  ///
  /// - Throws: like `OpenedHost.init`, `recover`, `start` and `RunningHost.run`, and what `started` throws.
  public func run() async throws {
    let host = try await recover().start()
    do { try await started(host) } catch {
      await host.stop()
      throw error
    }
    try await host.run()
  }

  /// On a thread of its own: recovery may take minutes.
  private func recover() async throws -> RecoveredHost {
    let recovered = Handover()
    try await onOwnThread("recovery") { [places, options] in
      recovered.put(try OpenedHost(places, options).recover())
    }
    return recovered.take()
  }
}

/// Takes a host from one thread to another.
private final class Handover: Sendable {
  private let host = Mutex<RecoveredHost?>(nil)

  func put(_ recovered: consuming sending RecoveredHost) {
    var recovered: RecoveredHost? = consume recovered
    host.withLock { $0 = recovered.take() }
  }

  func take() -> RecoveredHost { host.withLock { $0.take()! } }
}
