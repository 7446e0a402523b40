import Foundation
import HostConfig
import ServiceLifecycle
import Synchronization
import TriggerCore
import TriggerFiles
import TriggerHost

/// Follows host.yaml and the cron files of a running host: schedules that are saved are put in force as one operation; of
/// what else host.yaml says, it is said that it needs a start.
final class ScheduleFollower: Service {
  /// What a look has found.
  enum Change: Sendable {
    case read(HostConfig.Loaded)
    /// Somebody has asked, and nothing has changed.
    case nothing
  }

  private struct State {
    /// What the files of the newest look were.
    var looked: [String: FileStatus?]
    /// What those were that have been read.
    var taken: [String: FileStatus?]
    var paths: [String]
    var told: (@Sendable (Change) -> Void)?
  }

  private static let interval = Duration.milliseconds(500)

  private let read: @Sendable () -> HostConfig.Loaded?
  private let state: Mutex<State>
  /// In force.
  private let config: Mutex<HostConfig>

  init(_ config: HostConfig, _ read: @escaping @Sendable () -> HostConfig.Loaded?) {
    self.read = read
    self.config = Mutex(config)
    let paths = Self.paths(of: config)
    let now = Self.look(at: paths)
    state = Mutex(State(looked: now, taken: now, paths: paths))
  }

  private static func paths(of config: HostConfig) -> [String] {
    let own = config.file == HostConfig.ofCommandLine ? [] : [config.file]
    return own + config.cron.map(\.resolved) + Set(config.schedules.map(\.file)).subtracting(own).sorted()
  }

  private static func look(at paths: [String]) -> [String: FileStatus?] {
    Dictionary(paths.map { ($0, FileStatus.of($0)) }, uniquingKeysWith: { $1 })
  }

  /// - Parameter told: called with what was found, one call after another.
  func start(_ told: @escaping @Sendable (Change) -> Void) { state.withLock { $0.told = told } }

  /// Looks from time to time, until the task is cancelled. Asked to, it looks in any case.
  func run() async {
    if state.withLock({ $0.paths.isEmpty }) { return }
    while (try? await Task.sleep(for: Self.interval)) != nil { look(isAsked: false) }
  }

  /// Reads the files when they have changed, and have not since the look before: who writes them may be at it.
  func look(isAsked: Bool) {
    state.withLock { state in
      let now = Self.look(at: state.paths)
      defer { state.looked = now }
      guard isAsked || now == state.looked && now != state.taken else { return }
      if now == state.taken {
        state.told?(.nothing)
        return
      }
      state.taken = now
      guard let loaded = read() else { return }
      if loaded.report.isGood {
        state.paths = Self.paths(of: loaded.config)
        state.taken = Self.look(at: state.paths)
      }
      state.told?(.read(loaded))
    }
  }

  /// Puts the schedules that were read in force.
  ///
  /// - Parameter tree: the scripts in force.
  func putInForce(_ change: Change, _ scripts: HostScripts, _ tree: ScriptTree) async {
    let notices = scripts.notices
    guard case .read(let loaded) = change else {
      return notices.say(.info, "schedules: nothing has changed", code: .schedulesUnchanged)
    }
    for problem in loaded.report.sorted { notices.say(Finding(problem)) }
    guard loaded.report.isGood else {
      return notices.problem(
        "schedules: not taken up, those that run stay in force; mend what is named above",
        code: .schedulesRefused)
    }
    let old = config.withLock { $0 }
    sayWhatWaits(old, loaded.config, notices)
    let (before, after) = (old.schedules, loaded.config.schedules)
    let known = Dictionary(before.map { ($0.job.name, $0.job) }, uniquingKeysWith: { $1 })
    let names = Set(after.map(\.job.name))
    let parts = [
      ("changed", after.filter { known[$0.job.name] != nil && known[$0.job.name] != $0.job }.map(\.job.name)),
      ("new", after.filter { known[$0.job.name] == nil }.map(\.job.name)),
      ("gone", before.map(\.job.name).filter { !names.contains($0) }),
    ].filter { !$0.1.isEmpty }
    config.withLock { $0.schedules = after }
    if parts.isEmpty {
      return notices.say(.info, "schedules: none has changed", code: .schedulesUnchanged)
    }
    let event: Value = .array(parts.flatMap(\.1).sorted().map { .string($0) })
    do {
      let result = try await scripts.queue.replaceScripts(with: tree, event: ["schedules": event])
      scripts.schedules?.replace(before, by: after)
      let text = parts.map { "\($0.0) \($0.1.prefix(10).joined(separator: ", "))" }.joined(separator: "; ")
      notices.say(
        .info, "schedules: in force from seq \(result.seq): \(text)", ["seq": .int(result.seq)],
        code: .schedulesInForce)
    } catch is CancellationError {} catch is QueueStopped {} catch {
      notices.problem("schedules: not taken up: \(error)", code: .schedulesRefused)
    }
  }

  /// What host.yaml says otherwise than when the host started, and is not taken up.
  private func sayWhatWaits(_ old: HostConfig, _ new: HostConfig, _ notices: Notices) {
    let keys = new.keysThatDiffer(from: old)
    if keys.isEmpty { return }
    config.withLock { config in
      // Said once for each change.
      let schedules = config.schedules
      config = new
      config.schedules = schedules
    }
    notices.warning(
      "\(new.file): \(keys.joined(separator: ", ")) changed: that needs a start, the host runs on with what it had",
      code: .needsStart)
  }
}
