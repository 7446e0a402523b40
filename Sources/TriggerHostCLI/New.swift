import ArgumentParser
import Foundation
import HostConfig
import TriggerRuntime
import TriggerWorkshop

struct New: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "new", abstract: "Make a working starter project in a new directory.")

  @Argument(help: "The directory to make.") var directory: String

  func validate() throws {
    if directory.isEmpty { throw ValidationError("Name the directory to make; . is this one.") }
  }

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
    Output.result("Made \(directory). Next:\n  trigger-host run \(directory)")
  }

  private func existing() throws(ConfigProblem) -> [String] {
    do { return try FileManager.default.contentsOfDirectory(atPath: directory) } catch {
      throw ConfigProblem(file: directory, message: "cannot be read: \(error.localizedDescription)")
    }
  }

  private func write(_ contents: String, to path: String) throws(ConfigProblem) {
    try makeDirectory(FilePath.parent(of: path))
    guard let file = fopen(path, "wx") else { throw problem(path, "cannot be written") }
    let isWritten = fputs(contents, file) >= 0
    guard fclose(file) == 0, isWritten else { throw problem(path, "cannot be written") }
  }

  /// With those above it that are missing.
  private func makeDirectory(_ path: String) throws(ConfigProblem) {
    if mkdir(path, 0o777) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, FilePath.parent(of: path) != path else { throw problem(path, "cannot be made") }
    try makeDirectory(FilePath.parent(of: path))
    guard mkdir(path, 0o777) == 0 else { throw problem(path, "cannot be made") }
  }

  private func problem(_ path: String, _ what: String) -> ConfigProblem {
    ConfigProblem(file: path, message: "\(what): \(SystemError())")
  }
}
