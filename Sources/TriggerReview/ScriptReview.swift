import HostConfig
import Logging
import TriggerHost
import TriggerRuntime
import TriggerWorkshop

extension ScriptJudge {
  /// Lint of every file that is saved, as warnings of the host (`HostNotice`), and with `scripts.verify_last: N` what the
  /// newest N operations would come to with scripts that are about to come into force.
  public static var workshop: ScriptJudge { ScriptJudge(ScriptReview()) }
}

/// Judges by lint, and by executing history again.
private struct ScriptReview: ScriptJudging {
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
  package init(_ found: ScriptLint.Finding, in directory: String, as severity: Severity? = nil) {
    self.init(
      severity ?? Severity(rawValue: found.severity.rawValue)!, FilePath.join(directory, found.path),
      line: found.line, found.message)
  }
}
