import Foundation
import Synchronization
import TriggerCore
import TriggerHost
import TriggerRuntime
import TriggerServer

/// How a process with a host ends: the host in stages, then what is still to be read of it.
final class Ending: Sendable {
  private let work: HostWork
  private let hasBegun = Atomic<Bool>(false)
  private let isUrgent = Atomic<Bool>(false)

  init(_ work: HostWork) { self.work = work }

  /// Somebody has asked for the end: the process ends from a thread of its own, whatever the others are at. Returns at
  /// once.
  func begin() {
    isUrgent.store(true, ordering: .releasing)
    // First: who waits for the queue goes on when that takes no more, and must find that this is the end.
    let isFirst = !hasBegun.exchange(true, ordering: .acquiringAndReleasing)
    work.host.stopTaking()
    if !isFirst { return }
    Output.say(
      .info,
      "Ending: finishing what runs, for \(TimeSpan.format(work.host.config.stopTimeout)) at most. Press Ctrl-C again to end at once."
    )
    Self.onThread { [self] in Output.endProcess(run() ? 0 : 1) }
  }

  /// Nothing is left to do. Returns when the host has ended; never when somebody has asked for the end before.
  func finish() async {
    if hasBegun.exchange(true, ordering: .acquiringAndReleasing) {
      // The process ends meanwhile.
      while true { try? await Task.sleep(for: .seconds(3600)) }
    }
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      Self.onThread { [self] in
        _ = run()
        continuation.resume()
      }
    }
  }

  /// - Returns: false when something may be missing on disk that could have been there.
  private func run() -> Bool {
    let (host, answers) = (work.host, work.answers)
    // Answers that are under way need the host.
    work.server?.stopAndWait(within: host.config.stopTimeout)
    work.socket?.stopAndWait()
    let end = host.stopAndWait()
    work.status.stop()
    answers?.finish { isUrgent.load(ordering: .acquiring) }
    host.sayDropped()
    for notice in work.summary(end) { Output.say(notice) }
    // Answers wait for their reader, unless somebody waits for the end.
    while answers != nil, !isUrgent.load(ordering: .acquiring), !Output.isFlushed { Output.flush() }
    return end.isWritten
  }

  private static func onThread(_ body: @escaping @Sendable () -> Void) {
    let thread = Thread(block: body)
    thread.name = "ending"
    thread.start()
  }
}
