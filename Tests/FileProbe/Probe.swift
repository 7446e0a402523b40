import Foundation

/// What tests, and people who measure, run as a process of its own.
///
///     file-probe crash DIRECTORY MARK STEP exchange|fallback
///     file-probe measure          directories, script trees and write-outs
///     file-probe measure host     a real host: `trigger-host`, built the same way, from beside this program
@main enum Probe {
  static func main() async throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    switch arguments.first {
    case "crash" where arguments.count == 5:
      try CrashRun.run(
        directory: arguments[1], mark: arguments[2], step: Int(arguments[3]) ?? 0,
        exchanges: arguments[4] == "exchange")
    case "measure" where arguments.count == 1: try Measurements.run()
    case "measure" where arguments[1] == "host": try HostMeasurements.run()
    default:
      print("file-probe crash DIRECTORY MARK STEP exchange|fallback, or file-probe measure [host]")
      exit(2)
    }
  }
}
