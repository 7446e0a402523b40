import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost
import TriggerReplay
import TriggerRuntime

/// `replay --with`.
extension Replay {
  func tryScripts(of directory: String) throws {
    let config = try configuration(for: directory)
    let scripts = Scripts(config)
    let errors = scripts.tree.problems.filter { $0.severity == .error }
    guard scripts.isComplete, errors.isEmpty else {
      for finding in scripts.findings where finding.isError { Output.say(finding) }
      throw ExitCode(1)
    }
    let history = try History(kept.path(), config: config)
    try history.require(to)
    let first = try history.first(from)
    let output: any WhatIfOutput =
      json
      ? WhatIfJSON(limit: limit)
      : WhatIfText(limit: limit, scripts: ScriptPlaces(root: config.scripts.resolved))
    var failure: (any Error)?
    let whatIf = WhatIf(
      scripts.tree, stores: config.emptyStores, configuration: try EngineConfiguration(limitsOf: config),
      recorded: history.tree
    ) { difference in
      do { try output.add(difference) } catch { failure = failure ?? error }
    }
    try output.begin(scripts: directory)
    try history.reader.replay(into: whatIf.recovery, to: first - 1) { try whatIf.apply($0) }
    try history.visitViews(from: first, to: to ?? history.last) { record in
      try whatIf.run(record)
      if let failure { throw failure }
      return true
    }
    let summary = whatIf.finish()
    try output.end(summary) { body in try whatIf.visitStateDifferences(body) }
    if failOnDiff, summary.differs || output.differingKeys > 0 { throw ExitCode(1) }
  }

  /// Differences and keys to print.
  private var limit: Int { all ? .max : 20 }

  /// The scripts' configuration: `--config`, the host.yaml in the directory, beside it or here, or none.
  private func configuration(for directory: String) throws -> HostConfig {
    var options = ProjectOptions()
    (options.config, options.scripts, options.cron) = (config, directory, nil)
    var place: String?
    if config == nil {
      let own = FilePath.join(directory, "host.yaml")
      let isProject = FileManager.default.fileExists(atPath: own)
      place = isProject ? directory : FilePath.parent(of: directory)
      if isProject { options.scripts = nil }
      let beside = place.map { FilePath.join($0, "host.yaml") } ?? own
      if !FileManager.default.fileExists(atPath: beside) { options.config = HostConfig.fileHere }
    }
    guard let loaded = options.load(in: place) else {
      throw ValidationError("--with \(directory): no such directory")
    }
    try report(loaded.report)
    return loaded.config
  }
}
