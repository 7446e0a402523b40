import HostConfig
import Logging
import TriggerCore
import TriggerHost

/// What scripts log and what fails, as notices; of a trigger that says too much the beginning.
final class OperationNotices: Sendable {
  private let limit = LineLimit()
  private let threshold: Logger.Level
  private let places: ScriptPlaces
  private let notices: Notices

  init(_ config: HostConfig, _ notices: Notices) {
    threshold = Logger.Level(config.logLevel)
    places = ScriptPlaces(root: config.scripts.resolved)
    self.notices = notices
  }

  func observe(_ queue: TriggerQueue) {
    queue.observe { [self] result, logs in
      for line in logs { say(line, of: result) }
      limit.drop(result.logLinesDropped, of: result.trigger)
      if let error = result.error, limit.passes(error.utf8.count, of: result.trigger, .failures) {
        var notice = HostNotice(
          .failure, level: .error, message: "\(places.named(error))", origin: result.origin)
        notice.failure = result.failure?.code
        notices.say(notice)
      }
    }
  }

  private func say(_ line: ExecutionLog, of result: OperationResult) {
    let level = Logger.Level(rawValue: line.level) ?? .info
    guard level >= threshold, limit.passes(line.shownBytes, of: result.trigger) else { return }
    var notice = HostNotice(.log, level: level, message: "\(line.message)", origin: result.origin)
    if case .map(let fields)? = line.fields { notice.fields = fields }
    notices.say(notice)
  }

  /// Says which lines were dropped since the last time.
  func sayDropped() {
    for (trigger, count) in limit.takeDropped() {
      notices.say(
        .warning, "… and \(grouped(count)) more \(count == 1 ? "line" : "lines") of \(trigger) dropped",
        ["trigger": .string(trigger), "dropped": .int(Int64(count))], code: .dropped)
    }
  }
}

extension OperationResult {
  /// With the attempt that counts.
  fileprivate var origin: HostNotice.Origin {
    HostNotice.Origin(trigger: trigger, seq: seq, attempt: attempts)
  }
}

extension ExecutionLog {
  /// About as long as the line for it.
  fileprivate var shownBytes: Int { message.utf8.count + (fields == nil ? 0 : fieldsText.utf8.count) + 64 }

  /// ` {"trades": 3}`, or nothing; what has no JSON form as people see it.
  package var fieldsText: String {
    fields.map { " \($0)" } ?? ""
  }
}
