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
  var durability = Durability.group

  func validate() throws {
    if memory, data != nil { throw ValidationError("--memory and --data exclude each other") }
  }

  /// Nil: in memory.
  func options() throws -> DataOptions? {
    guard let data, durability != .memory else { return nil }
    return DataOptions(path: data, durability: durability)
  }
}

extension Durability: ExpressibleByArgument {}
extension StorageError: ExpectedFailure {}
extension LogError: ExpectedFailure {}
