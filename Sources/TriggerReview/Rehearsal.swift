import Logging
import TriggerCore
import TriggerHost
import TriggerReplay
import TriggerRuntime
import TriggerSQLite

/// Recorded operations, executed with other scripts on the states they ran on.
struct Rehearsal {
  private let tree: ScriptTree
  private let configuration: EngineConfiguration
  private let stores: [String: Value.Map]
  private let reader: LogReader

  /// Differences that are told one by one.
  private static let told = 10
  /// Scripts that wait for it must not wait for a thousand endless loops.
  private static let longest = Duration.seconds(5)
  private struct Enough: Error {}

  /// - Parameter stores: as they are before the first commit.
  init(
    _ tree: ScriptTree, _ configuration: EngineConfiguration, stores: [String: Value.Map], path: String
  ) throws {
    self.tree = tree
    self.stores = stores
    self.configuration = configuration
    reader = try LogReader(path: path)
  }

  func lines(last count: Int64) throws -> [(level: Logger.Level, text: String)] {
    let end = try reader.lastSeq()
    let start = max(end - count + 1, try reader.firstExecutable())
    guard start <= end else { return [] }
    let replayer = Replayer(stores: stores, configuration: configuration) { _ in tree }
    try reader.replay(into: replayer.recovery, to: start - 1) { try replayer.apply($0) }
    var (executed, failures, others) = (0, [String](), [String]())
    var left = ""
    let late = ContinuousClock.now + Self.longest
    do {
      try reader.visit(from: start, to: end) { record in
        let difference = try replayer.verify(record, within: max(.zero, late - .now))
        // This one was cut short, then.
        if ContinuousClock.now >= late {
          left = ", the rest left out after \(TimeSpan.format(Self.longest))"
          throw Enough()
        }
        if record.tree > 0 { executed += 1 }
        guard let difference else { return }
        if record.outcome == .committed, difference.reason.contains("fails now") {
          failures.append("would fail: \(difference)")
        } else {
          others.append("would differ: \(difference)")
        }
      }
    } catch is Enough {}
    let all = failures + others
    var lines: [(level: Logger.Level, text: String)] = [
      (
        failures.isEmpty ? .info : .warning,
        "\(counted(executed, "recent operation")) executed with the new scripts\(left): \(failures.count) would fail that did not, \(others.count) would differ"
      )
    ]
    lines += all.prefix(Self.told).map { (.info, String($0.split(separator: "\n").first ?? "")) }
    if all.count > Self.told { lines.append((.info, "... and \(all.count - Self.told) more")) }
    return lines
  }
}
