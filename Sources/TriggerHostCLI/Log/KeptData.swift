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
    let host = "host.yaml"
    guard FileManager.default.fileExists(atPath: host) else {
      throw ValidationError("Say what to read: --data DIR; there is no host.yaml here.")
    }
    let loaded = HostConfig.load(path: host)
    if let path = loaded.config.data?.resolved { return path }
    try report(loaded.report)
    throw ValidationError("Say what to read: --data DIR; host.yaml here says no `data`.")
  }
}
