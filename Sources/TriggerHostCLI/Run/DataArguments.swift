import ArgumentParser
import TriggerStorage

/// Where a host keeps what, and how safely.
struct DataOptions {
  var path: String
  var durability: Durability
}

struct DataArguments: ParsableArguments {
  @Option(help: "Directory to keep everything in; made when it is not there.", completion: .directory)
  var data: String?
  @Flag(help: "Keep everything in memory (the default).") var memory = false
  @Option(
    help: ArgumentHelp(
      "group: on disk before anything outside sees it; async: the last seconds may be lost when the machine stops."
    ))
  var durability = "group"

  func validate() throws {
    if memory, data != nil { throw ValidationError("--memory and --data exclude each other") }
    guard Durability(rawValue: durability) != nil else {
      throw ValidationError("--durability is memory, async or group, got '\(durability)'")
    }
  }

  /// Nil: in memory.
  func options() throws -> DataOptions? {
    guard let data, let mode = Durability(rawValue: durability), mode != .memory else { return nil }
    return DataOptions(path: data, durability: mode)
  }
}

extension StorageError: ExpectedFailure {}
extension LogError: ExpectedFailure {}
