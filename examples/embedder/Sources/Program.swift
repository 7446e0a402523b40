import Foundation
import Logging
import ServiceLifecycle

/// Opens the doors until standard input or the process ends.
@main struct Program {
  static func main() async throws {
    let logger = Logger(label: "car-park") { StreamLogHandler.standardError(label: $0) }
    let garage = try Garage(spaces: 2, logger: logger)
    let doors = Doors(garage: garage, lines: standardInput()) { print($0) }
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [
          .init(service: garage.host),
          .init(service: doors, successTerminationBehavior: .gracefullyShutdownGroup),
        ],
        gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
    try await group.run()
  }

  /// Reading blocks, so it has a thread of its own.
  private static func standardInput() -> AsyncStream<String> {
    let (lines, line) = AsyncStream.makeStream(of: String.self)
    Thread.detachNewThread {
      while let text = readLine() { line.yield(text) }
      line.finish()
    }
    return lines
  }
}
