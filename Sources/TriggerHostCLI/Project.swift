import ArgumentParser
import Foundation
import HostConfig
import TriggerHost

/// The configuration and scripts that a command line means: what `run`, `check` and `exec` share.
struct ProjectOptions: ParsableArguments {
  @Option(help: "The host's configuration (YAML).", completion: .file(extensions: ["yaml", "yml"]))
  var config: String?
  @Option(help: "Directory of Lua scripts; overrides the configuration's.", completion: .directory)
  var scripts: String?
  @Option(
    help: "File with schedules, YAML or a crontab; added to the configuration's.", completion: .file())
  var cron: String?

  /// The configuration with the command line's words in it, and all that is wrong with both.
  ///
  /// - Parameter directory: where `host.yaml` is looked for when no option says; nil: options only.
  func load(in directory: String? = nil) -> HostConfig.Loaded? {
    var loaded: HostConfig.Loaded
    let inDirectory = directory.map { ($0 as NSString).appendingPathComponent("host.yaml") }
    if let path = config ?? inDirectory.flatMap({ FileManager.default.fileExists(atPath: $0) ? $0 : nil }) {
      loaded = HostConfig.load(path: path)
    } else if let directory = scripts ?? directory {
      var bare = HostConfig(file: "command line")
      bare.scripts = HostConfig.Path(text: directory, resolved: directory)
      loaded = HostConfig.Loaded(config: bare, report: ConfigReport())
    } else {
      return nil
    }
    if let scripts { loaded.config.scripts = HostConfig.Path(text: scripts, resolved: scripts) }
    if let cron {
      let file = loadCronFile(path: cron, name: cron)
      loaded.report.add(file.report)
      loaded.config.schedules += file.entries
    }
    return loaded
  }
}

/// Prints problems as `file:line: message`; ends the command with 1 when one is an error.
func report(_ report: ConfigReport) throws {
  for problem in report.sorted { printError("\(problem)") }
  if !report.isGood { throw ExitCode(1) }
}
