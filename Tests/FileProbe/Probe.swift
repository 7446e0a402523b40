import Foundation

/// What tests, and people who measure, run as a process of its own.
///
///     file-probe crash DIRECTORY MARK STEP exchange|fallback
///     file-probe measure
@main enum Probe {
  static func main() async throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    switch arguments.first {
    case "crash" where arguments.count == 5:
      try CrashRun.run(
        directory: arguments[1], mark: arguments[2], step: Int(arguments[3]) ?? 0,
        exchanges: arguments[4] == "exchange")
    case "measure": try Measurements.run()
    default:
      print("file-probe crash DIRECTORY MARK STEP exchange|fallback, or file-probe measure")
      exit(2)
    }
  }
}
