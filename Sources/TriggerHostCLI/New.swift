import ArgumentParser
import Foundation
import HostConfig

struct New: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "new", abstract: "Make a working starter project in a new directory.")

  @Argument(help: "The directory to make.") var directory: String

  func run() throws {
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: directory, isDirectory: &isDirectory) {
      guard isDirectory.boolValue else {
        throw ValidationError("\(directory) is a file; give a new directory.")
      }
      guard try existing().isEmpty else {
        throw ValidationError("\(directory) is not empty; give a new directory.")
      }
    }
    for (path, contents) in Starter.files { try write(contents, to: FilePath.join(directory, path)) }
    let host = FilePath.join(directory, "host.yaml")
    print("Made \(directory). Next:\n  trigger-host run --config \(host)")
  }

  private func existing() throws(ConfigProblem) -> [String] {
    do { return try FileManager.default.contentsOfDirectory(atPath: directory) } catch {
      throw problem(directory, "cannot be read", error)
    }
  }

  private func write(_ contents: String, to path: String) throws(ConfigProblem) {
    let file = URL(fileURLWithPath: path)
    do {
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try contents.write(to: file, atomically: true, encoding: .utf8)
    } catch { throw problem(path, "cannot be written", error) }
  }

  private func problem(_ path: String, _ what: String, _ error: any Error) -> ConfigProblem {
    ConfigProblem(file: path, message: "\(what): \(error.localizedDescription)")
  }
}
