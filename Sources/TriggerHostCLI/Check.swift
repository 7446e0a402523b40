import ArgumentParser
import Foundation
import HostConfig
import TriggerHost

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Find mistakes in scripts and configuration before they run.",
    discussion: "Prints file:line: message for each and exits with 1 when one is an error.")

  @Argument(help: "A directory with host.yaml, or of scripts alone.") var directory = "."

  func run() throws {
    var scripts = directory
    var isGood = true
    let config = (directory as NSString).appendingPathComponent("host.yaml")
    if FileManager.default.fileExists(atPath: config) {
      let loaded = HostConfig.load(path: config)
      for problem in loaded.report.sorted { print(problem) }
      isGood = loaded.report.isGood
      scripts = loaded.config.scripts.resolved
    }
    let files = ScriptDirectory.read(scripts)
    for problem in files.report.sorted { print(problem) }
    let tree = ScriptTree(files: Dictionary(uniqueKeysWithValues: files.files.map { ($0.path, $0.bytes) }))
    for problem in tree.problems { print(problem) }
    isGood = isGood && files.report.isGood && !tree.problems.contains { $0.severity == .error }
    if !isGood { throw ExitCode(1) }
    print("\(tree.triggers.count) triggers are good.")
  }
}
