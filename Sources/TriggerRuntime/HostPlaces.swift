import Foundation
import HostConfig
import TriggerCore
import TriggerHost

/// Where the configuration and the scripts of a host are.
public struct HostPlaces: Sendable, Hashable {
  /// A directory with `host.yaml`, or of scripts alone. Nil: here, unless `scripts` says that there is none.
  public var directory: String?
  /// The host's configuration (YAML), wherever it is.
  public var configuration: String?
  /// Directory of Lua scripts; overrides the configuration's.
  public var scripts: String?
  /// File with schedules, YAML or a crontab; added to the configuration's.
  public var cron: String?

  /// - Parameter directory: with `host.yaml`, or of scripts alone; nil: here.
  public init(
    directory: String? = nil, configuration: String? = nil, scripts: String? = nil, cron: String? = nil
  ) {
    self.directory = directory
    self.configuration = configuration
    self.scripts = scripts
    self.cron = cron
  }

  /// The configuration with these places in it, and all that is wrong with both.
  ///
  /// - Returns: nil when nothing says what to load: there is neither a `host.yaml` nor a directory.
  package func load() -> HostConfig.Loaded? {
    var loaded: HostConfig.Loaded
    let place = directory ?? (scripts == nil ? "." : nil)
    let host = place.map { FilePath.join($0, "host.yaml") }
    if let path = configuration ?? host.flatMap({ FileManager.default.fileExists(atPath: $0) ? $0 : nil }) {
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
