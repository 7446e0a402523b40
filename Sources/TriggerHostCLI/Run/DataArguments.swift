import ArgumentParser
import TriggerCore
import TriggerHost
import TriggerRuntime
import TriggerSQLite

struct DataArguments: ParsableArguments {
  @Option(help: "Directory to keep everything in; made when it is not there.", completion: .directory)
  var data: String?
  @Flag(help: "Keep everything in memory: the default, unless the configuration says data.") var memory =
    false
  @Option(
    help: ArgumentHelp(
      "group: on disk before anything outside sees it (default); async: the last seconds may be lost when the machine stops; memory: nothing is kept."
    ))
  var durability: Durability?

  @Flag(help: "Go on with what is left of the data directory when commits that were there are missing.")
  var acceptLoss = false

  func validate() throws {
    if memory, data != nil { throw ValidationError("--memory and --data exclude each other") }
    if memory, let durability, durability != .memory {
      throw ValidationError("--memory and --durability \(durability) exclude each other")
    }
  }

  /// A host's options with these in it.
  var options: HostOptions {
    var options = HostOptions()
    options.data = memory ? .memory : data.map { .directory($0) } ?? .configured
    options.durability = durability
    options.acceptsLoss = acceptLoss
    return options
  }
}

extension Durability: ExpressibleByArgument {}
extension StorageError: ExpectedFailure {}
extension LogError: ExpectedFailure {}
extension LogFailure: ExpectedFailure {}
extension CheckpointDamage: ExpectedFailure {}
extension FileProblem: ExpectedFailure {}
