import Dispatch
import Synchronization
import TriggerCore
import TriggerHost

/// Gives a receiver the effects of durable commits, in order, on a thread of its own: reads them from the log, waits for
/// the receiver, and notes in the log how far it has come.
final class EffectDelivery: Sendable {
  private let receiver: any EffectReceiver
  private let log: HostLog
  private let watch: EffectWatch
  private let notices: Notices
  private let state = Atomic<State>(.running)
  private let hasEnded = DispatchSemaphore(value: 0)
  private let call = Mutex<Task<Void, Never>?>(nil)

  private enum State: UInt8, AtomicRepresentable {
    case running
    /// What is durable is given, then it ends.
    case finishing
    case stopped
  }

  /// Effects that the receiver gets at a time, about.
  private static let atOnce = 1000
  /// How often it is noted in the log how far the receiver has come: what came after is given again after a crash.
  private static let confirmInterval = Duration.seconds(1)
  /// Bounds of the pause after a failure; it doubles from the first to the second.
  private static let pauses = (first: Duration.milliseconds(100), longest: Duration.seconds(30))

  init(_ receiver: any EffectReceiver, _ log: HostLog, _ watch: EffectWatch, _ notices: Notices) {
    (self.receiver, self.log, self.watch, self.notices) = (receiver, log, watch, notices)
  }

  private var isStopped: Bool { state.load(ordering: .acquiring) == .stopped }
  private var isRunning: Bool { state.load(ordering: .acquiring) == .running }

  /// Begins after what the receiver has taken. A new receiver begins after what the log has now.
  ///
  /// - Throws: what the log says.
  func start() throws {
    let source = try log.openSource()
    let end = try source.end().seq
    var begin = end
    if let confirmed = try source.confirmed(receiver: receiver.name), confirmed <= end {
      begin = confirmed
    } else {
      // It is new, or the log has lost its end: what is given out again under these seqs, the receiver has not taken.
      try log.writer.perform([.confirmed(receiver: receiver.name, seq: end)])
    }
    // Handed to the thread.
    nonisolated(unsafe) let reader = EffectReader(source, after: begin)
    Thread.detach(name: "effects") { [self, begin] in
      run(Progress(reader: reader, end: end, given: begin, confirmed: begin))
      hasEnded.signal()
    }
  }

  /// Gives what is durable, and ends. Returns at once.
  func finish() {
    _ = state.compareExchange(expected: .running, desired: .finishing, ordering: .acquiringAndReleasing)
    watch.wake()
  }

  /// Returns when it has ended.
  func wait() { hasEnded.wait() }

  /// Ends a call that is under way: what the receiver has not taken comes again at the next start.
  func abandon() {
    state.store(.stopped, ordering: .releasing)
    call.withLock { $0?.cancel() }
    watch.wake()
  }

  // MARK: The thread

  /// How far the thread is.
  private struct Progress: ~Copyable {
    let reader: EffectReader
    /// Durable commits up to here may have effects that were not read.
    var end: Int64
    /// The receiver has taken everything up to here.
    var given: Int64
    /// The log says that it has taken everything up to here.
    var confirmed: Int64
    var confirmedAt = ContinuousClock.now
  }

  private func run(_ progress: consuming Progress) {
    defer { progress.reader.close() }
    while giveAll(&progress) {
      confirm(&progress, isLast: false)
      let span = progress.confirmed < progress.given ? Self.confirmInterval : .seconds(60)
      if let newest = watch.wait(after: progress.end, for: span, unless: { !isRunning }) {
        progress.end = newest
      } else if !isRunning {
        break
      }
    }
    confirm(&progress, isLast: true)
  }

  /// Gives what is durable, as far as is known.
  ///
  /// - Returns: false when it cannot go on: the log cannot be read, or the host stops.
  private func giveAll(_ progress: inout Progress) -> Bool {
    while progress.given < progress.end {
      if isStopped { return false }
      do {
        let batch = try progress.reader.next(through: progress.end, atMost: Self.atOnce)
        if !batch.lost.isEmpty { say(lost: batch.lost) }
        if !batch.effects.isEmpty, !give(batch.effects) { return false }
        // There is nothing more up to the end when the reader stays where it is.
        progress.given = progress.reader.seq > progress.given ? progress.reader.seq : progress.end
      } catch {
        notices.problem(
          "receiver '\(receiver.name)': the log cannot be read, so nothing is given to it any more: \(error)",
          code: .receiver)
        return false
      }
      confirm(&progress, isLast: false)
    }
    return true
  }

  private func say(lost: Range<Int64>) {
    notices.problem(
      "receiver '\(receiver.name)': seqs \(lost.lowerBound) to \(lost.upperBound - 1) were let go before it was given their effects; a larger log.retain keeps them longer",
      code: .receiver)
  }

  /// Gives the effects until the receiver has taken them.
  ///
  /// - Returns: false when the host stopped before.
  private func give(_ effects: [Effect]) -> Bool {
    var pause = Self.pauses.first
    while !isStopped {
      guard let failure = receive(effects) else { return true }
      if isStopped { break }
      notices.problem(
        "receiver '\(receiver.name)' has not taken effect \(effects[0].id) and later ones: \(failure); trying again in \(TimeSpan.format(pause))",
        code: .receiver)
      // Who stops does not wait for a receiver that fails.
      watch.pause(pause) { !isRunning }
      if !isRunning { break }
      pause = min(pause * 2, Self.pauses.longest)
    }
    return false
  }

  /// - Returns: why the receiver did not take them; nil when it did.
  private func receive(_ effects: [Effect]) -> String? {
    let failure = Mutex<String?>(nil)
    let isOver = DispatchSemaphore(value: 0)
    let task = Task { [receiver] in
      do { try await receiver.receive(effects) } catch { failure.withLock { $0 = "\(error)" } }
      isOver.signal()
    }
    call.withLock { $0 = task }
    if isStopped { task.cancel() }
    isOver.wait()
    call.withLock { $0 = nil }
    return failure.withLock { $0 }
  }

  private func confirm(_ progress: inout Progress, isLast: Bool) {
    let now = ContinuousClock.now
    guard progress.given > progress.confirmed, isLast || now - progress.confirmedAt >= Self.confirmInterval
    else { return }
    // A log that has failed stops the host, which says so.
    let job = LogJob.confirmed(receiver: receiver.name, seq: progress.given)
    if (try? log.writer.perform([job])) != nil { progress.confirmed = progress.given }
    progress.confirmedAt = now
  }
}
