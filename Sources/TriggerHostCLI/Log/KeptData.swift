import ArgumentParser
import Foundation
import HostConfig

/// The data directory of commands that look at what a host has kept.
struct KeptData: ParsableArguments {
  @Option(help: "The data directory. Default: what host.yaml here says.", completion: .directory)
  var data: String?

  /// - Throws: when nothing says where it is; what is wrong with `host.yaml` is said.
  func path() throws -> String {
    if let data { return data }
    guard let host = HostConfig.fileHere else {
      throw ValidationError("Say what to read: --data DIR; there is no host.yaml here.")
    }
    let loaded = HostConfig.load(path: host)
    if let path = loaded.config.data?.resolved { return path }
    try report(loaded.report)
    throw ValidationError("Say what to read: --data DIR; host.yaml here says no `data`.")
  }
}

extension HostConfig {
  /// The configuration that `run` takes here; nil when there is none.
  static var fileHere: String? {
    FileManager.default.fileExists(atPath: "host.yaml") ? "host.yaml" : nil
  }

  /// Whose limits and stores hold for what is executed on kept data: the configuration that was named, else that of
  /// `run` here; nil when there is neither. The log has none of them.
  ///
  /// - Throws: `ExitCode` when it has mistakes, which have been said.
  static func ofKeptData(_ named: String?) throws -> HostConfig? {
    guard let file = named ?? fileHere else { return nil }
    let loaded = load(path: file)
    try report(loaded.report)
    return loaded.config
  }
}
