import ArgumentParser
import Foundation
import HostConfig

struct New: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "new", abstract: "Make a working starter project in a new directory.")

  @Argument(help: "The directory to make.") var directory: String

  func run() throws {
    let root = URL(fileURLWithPath: directory)
    let existing = try? FileManager.default.contentsOfDirectory(atPath: root.path)
    if let existing, !existing.isEmpty {
      throw ValidationError("\(directory) is not empty; give a new directory.")
    }
    for (path, contents) in Starter.files {
      let file = root.appendingPathComponent(path)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try contents.write(to: file, atomically: true, encoding: .utf8)
    }
    print("Made \(directory). Next:\n  trigger-host run --config \(directory)/host.yaml")
  }
}
