import Synchronization
import TriggerHost

/// Which notices of the scheduler are said: of one kind and job, one in ten seconds, with the number of those
/// left out. A job that is always late would fill the log otherwise. Any thread.
package final class NoticeLimit: Sendable {
  package static let span = Duration.seconds(10)

  private struct Said {
    var at: ContinuousClock.Instant
    var leftOut = 0
  }
  /// By kind and job. Jobs come from the configuration and the scripts, so there are few.
  private let said = Mutex<[String: Said]>([:])

  package init() {}

  /// What to say; nil: nothing now.
  package func text(of notice: TriggerScheduler.Notice, at now: ContinuousClock.Instant = .now) -> String? {
    let key =
      switch notice {
      case .missed(let job, _): "missed \(job)"
      case .leftOut(let job, _): "left out \(job)"
      case .ahead(let job, _, _): "ahead \(job)"
      case .dropped(let job, _): "dropped \(job)"
      case .nothingToRun(let job, _): "nothing \(job)"
      }
    return said.withLock { said in
      guard let last = said[key], now - last.at < Self.span else {
        let leftOut = said[key]?.leftOut ?? 0
        said[key] = Said(at: now)
        return leftOut == 0 ? "\(notice)" : "\(notice) (\(leftOut) like it were not said)"
      }
      said[key]!.leftOut += 1
      return nil
    }
  }
}
