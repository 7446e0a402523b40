import Foundation
import Testing

import TriggerSimulation

/// The whole engine under fixed seeds: `scripts/simulate` runs as many more as there is time for.
@Suite(.serialized) struct SimulationTests {
  @Test func nothingIsWrongUnderFixedSeeds() {
    for seed in 1...50 as ClosedRange<UInt64> {
      let report = Simulation(.init(seed: seed, steps: 200)).run()
      guard let violation = report.violation else { continue }
      Issue.record(
        """
        seed \(seed): \(violation)
        scripts/simulate --seed \(seed) --steps 200 --trace 200
        """)
    }
  }

  /// What is broken on purpose is found: were it not, the seeds above would say nothing.
  @Test(arguments: Simulation.Canary.allCases)
  func aBrokenRuleIsFound(canary: Simulation.Canary) {
    let found = (1...40 as ClosedRange<UInt64>).first { seed in
      Simulation(.init(seed: seed, steps: 600, canary: canary)).run().violation != nil
    }
    #expect(found != nil, "\(canary) is broken and nobody notices")
  }

  @Test func oneSeedGivesOneRun() {
    for seed in 1...3 as ClosedRange<UInt64> {
      let reports = (0..<2).map { _ in Simulation(.init(seed: seed, steps: 300, traceKept: 5)).run() }
      #expect(reports[0].digest == reports[1].digest && reports[0].trace == reports[1].trace, "seed \(seed)")
    }
  }

  /// Hash tables go in another order in every process: nothing may depend on it.
  @Test func oneSeedGivesOneRunInEveryProcess() throws {
    func output() throws -> String {
      let pipe = Pipe()
      let process = Process()
      guard let binary = Self.binary else { throw NoBinary() }
      process.executableURL = binary
      process.arguments = ["--seeds", "5", "--steps", "200", "--verbose"]
      process.standardOutput = pipe
      try process.run()
      let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      let lines = String(decoding: data, as: UTF8.self).split(separator: "\n").filter {
        $0.contains("digest")
      }
      #expect(lines.count == 5)
      return lines.joined(separator: "\n")
    }
    #expect(try output() == output())
  }

  /// trigger-simulate is not beside the test bundle.
  private struct NoBinary: Error {}

  private static let binary: URL? = {
    let places = [CommandLine.arguments.first.map { URL(fileURLWithPath: $0) }, Bundle.main.executableURL]
    return places.compactMap { $0?.deletingLastPathComponent().appendingPathComponent("trigger-simulate") }
      .first { FileManager.default.isExecutableFile(atPath: $0.path) }
  }()
}
