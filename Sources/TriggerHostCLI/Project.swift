import ArgumentParser
import Foundation
import HostConfig
import TriggerHost
import TriggerRuntime

/// The configuration and scripts that a command line means: what `run`, `check` and `exec` share.
struct ProjectOptions: ParsableArguments {
  @Option(
    help: "The host's configuration (YAML). Default: host.yaml here.",
    completion: .file(extensions: ["yaml", "yml"]))
  var config: String?
  @Option(help: "Directory of Lua scripts; overrides the configuration's.", completion: .directory)
  var scripts: String?
  @Option(
    help: "File with schedules, YAML or a crontab; added to the configuration's.", completion: .file())
  var cron: String?

  /// The configuration with the command line's words in it, and all that is wrong with both.
  ///
  /// - Parameter directory: where `host.yaml` is looked for when `--config` does not name one; nil is here,
  ///   unless `--scripts` says that there is none.
  /// - Returns: nil when nothing says what to load: there is neither a `host.yaml` nor a directory.
  func load(in directory: String? = nil) -> HostConfig.Loaded? {
    places(in: directory).load()
  }

  /// Where all of it is.
  func places(in directory: String? = nil) -> HostPlaces {
    HostPlaces(directory: directory, configuration: config, scripts: scripts, cron: cron)
  }
}

/// Prints problems as `file:line: message`; ends the command with 1 when one is an error.
func report(_ report: ConfigReport) throws {
  for problem in report.sorted { Output.say(Finding(problem)) }
  if !report.isGood { throw ExitCode(1) }
}
