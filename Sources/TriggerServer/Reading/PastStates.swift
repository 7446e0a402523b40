import HostConfig
import Synchronization
import TriggerHost
import TriggerRuntime

/// States that are not those of now, made from the log. The newest of them is kept for a little while: a store is read page
/// by page. Any thread.
final class PastStates: Sendable {
  private struct Kept {
    var seq: Int64
    var coordinator: CommitCoordinator
    var uses = 0
  }

  /// How long it is kept after it was asked for. It takes as much memory as the stores do.
  private static let keeping = Duration.seconds(15)

  private let config: HostConfig
  private let kept = Mutex<Kept?>(nil)

  init(_ config: HostConfig) { self.config = config }

  /// The state right after a seq, when it is at hand.
  func known(_ seq: Int64) -> CommitCoordinator? {
    let (coordinator, uses): (CommitCoordinator?, Int) = kept.withLock { kept in
      guard kept?.seq == seq else { return (nil, 0) }
      kept!.uses += 1
      return (kept!.coordinator, kept!.uses)
    }
    if coordinator != nil { forget(seq, uses: uses) }
    return coordinator
  }

  /// The state right after a seq that is visible. Takes as long as the log is from the checkpoint before it.
  ///
  /// - Throws: `Problem`, `seq_gone`; `LogError`.
  func state(at seq: Int64, _ reader: LogReader) throws -> CommitCoordinator {
    if let coordinator = known(seq) { return coordinator }
    try Self.require(seq, reader)
    let configuration = try EngineConfiguration(config, workers: 1)
    let past = try PastHost(reader, to: seq, stores: config.emptyStores, configuration)
    kept.withLock { $0 = Kept(seq: seq, coordinator: past.coordinator) }
    forget(seq, uses: 0)
    return past.coordinator
  }

  /// - Throws: `Problem`, `seq_gone`, when the log cannot make the state of a seq any more.
  static func require(_ seq: Int64, _ reader: LogReader) throws {
    let oldest = try reader.firstExecutable() - 1
    if seq < oldest {
      throw Problem(
        .seqGone, "the oldest state that is kept is that of seq \(oldest) (log.retain)",
        fields: ["oldest": .int(oldest)])
    }
  }

  /// Lets go of it, unless somebody asks for it meanwhile.
  private func forget(_ seq: Int64, uses: Int) {
    Task { [weak self] in
      try? await Task.sleep(for: Self.keeping)
      self?.kept.withLock { kept in
        if kept?.seq == seq, kept?.uses == uses { kept = nil }
      }
    }
  }

  func clear() { kept.withLock { $0 = nil } }
}
