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
    Self.load(config: config, scripts: scripts, cron: cron, in: directory)
  }

  /// The same, again.
  var loading: @Sendable () -> HostConfig.Loaded? {
    { [config, scripts, cron] in Self.load(config: config, scripts: scripts, cron: cron, in: nil) }
  }

  private static func load(
    config: String?, scripts: String?, cron: String?, in directory: String?
  ) -> HostConfig.Loaded? {
    var loaded: HostConfig.Loaded
    let place = directory ?? (scripts == nil ? "." : nil)
    let host = place.map { FilePath.join($0, "host.yaml") }
    if let path = config ?? host.flatMap({ FileManager.default.fileExists(atPath: $0) ? $0 : nil }) {
      loaded = HostConfig.load(path: path)
    } else if let directory = scripts ?? directory {
      var bare = HostConfig(file: HostConfig.ofCommandLine)
      // A project without host.yaml keeps its scripts where one with it does.
      let triggers = FilePath.join(directory, "triggers")
      let directory =
        scripts == nil && FileManager.default.fileExists(atPath: triggers) ? triggers : directory
      bare.scripts = HostConfig.Path(text: directory, resolved: directory)
      loaded = HostConfig.Loaded(config: bare, report: ConfigReport())
      // As the starter's host.yaml names it.
      let jobs = FilePath.join(place ?? directory, "cron.yaml")
      if scripts == nil, cron == nil, FileManager.default.fileExists(atPath: jobs) {
        loaded.add(loadCronFile(path: jobs))
      }
    } else {
      return nil
    }
    if let scripts { loaded.config.scripts = HostConfig.Path(text: scripts, resolved: scripts) }
    if let cron { loaded.add(loadCronFile(path: cron)) }
    // Rows are reported with a name that an editor here can open.
    for index in loaded.config.feeds.indices {
      loaded.config.feeds[index].file.text = loaded.config.feeds[index].file.resolved
    }
    return loaded
  }
}

extension HostConfig.Loaded {
  /// Adds the jobs of `--cron`; names that the configuration uses already are mistakes.
  fileprivate mutating func add(_ file: CronFile) {
    report.add(file.report)
    for entry in file.entries {
      if let other = config.schedules.first(where: { $0.job.name == entry.job.name && $0.file != entry.file })
      {
        report.add(
          ConfigProblem(
            file: entry.file, line: entry.line,
            message:
              "the schedule name `\(entry.job.name)` is used twice; first in \(other.file):\(other.line)"
          ))
      }
      config.schedules.append(entry)
    }
  }
}

/// Prints problems as `file:line: message`; ends the command with 1 when one is an error.
func report(_ report: ConfigReport) throws {
  for problem in report.sorted { Output.say(Finding(problem)) }
  if !report.isGood { throw ExitCode(1) }
}
