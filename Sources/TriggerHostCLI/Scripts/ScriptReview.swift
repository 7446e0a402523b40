import HostConfig
import Logging
import TriggerHost
import TriggerRuntime
import TriggerWorkshop

/// What `run` says of scripts that are saved: lint, and what recent operations would come to.
struct ScriptReview: ScriptJudge {
  func doubts(about update: ScriptTree.Update, in config: HostConfig) -> [Finding] {
    let lint = ScriptLint(
      update.tree, stores: config.stores.keys.sorted(), isStrict: config.strictStores,
      paths: update.files.added + update.files.modified)
    // They run: nothing is an error any more.
    return lint.findings.filter { $0.severity != .note }.map {
      Finding($0, in: config.scripts.resolved, as: .warning)
    }
  }

  func rehearse(
    _ tree: ScriptTree, last count: Int64, in data: String, _ config: HostConfig
  ) throws -> [(level: Logger.Level, text: String)] {
    let configuration = try EngineConfiguration(config, workers: nil)
    return try Rehearsal(tree, configuration, stores: config.emptyStores, path: data).lines(last: count)
  }
}

extension Finding {
  /// - Parameters:
  ///   - directory: what the script's path counts from.
  ///   - severity: nil: as lint has it.
  init(_ found: ScriptLint.Finding, in directory: String, as severity: Severity? = nil) {
    self.init(
      severity ?? Severity(rawValue: found.severity.rawValue)!, FilePath.join(directory, found.path),
      line: found.line, found.message)
  }
}
