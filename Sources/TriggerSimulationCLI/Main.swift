import ArgumentParser
import Glibc
import Synchronization
import TriggerSimulation

@main
struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scripts/simulate",
    abstract: "Runs the whole engine under seeds: interleavings, crashes and failing disks on one thread.",
    discussion: """
      One seed gives one run, on every machine. A seed that fails is printed with what went wrong; run it again
      with --seed SEED --trace 200 to see the steps before.
      """)

  @Option(help: "How many seeds to run.") var seeds = 1000
  @Option(help: "The first seed. Alone: the only one.") var seed: UInt64?
  @Option(help: "Steps of each run.") var steps = 1000
  @Option(help: "Lines of the trace to print when a seed fails, or with --verbose.") var trace = 0
  @Option(
    help: "Break a rule on purpose: \(Simulation.Canary.allCases.map(\.rawValue).joined(separator: ", ")).")
  var canary: Simulation.Canary?
  @Flag(help: "Print every seed.") var verbose = false

  /// The seed that is being run, for the message of a trap.
  static let current = Atomic<UInt64>(0)

  func validate() throws {
    guard seeds > 0, steps > 0, trace >= 0 else {
      throw ValidationError("--seeds and --steps must be above zero, --trace not below")
    }
  }

  func run() throws {
    Self.announceTraps()
    let first = seed ?? 1
    // Without a number of seeds, a seed is the only one.
    let count = seed != nil && !CommandLine.arguments.contains { $0.hasPrefix("--seeds") } ? 1 : seeds
    let start = ContinuousClock.now
    var totals = Totals()
    for seed in first..<first + UInt64(count) {
      Self.current.store(seed, ordering: .relaxed)
      let report = Simulation(
        .init(seed: seed, steps: steps, canary: canary, traceKept: max(trace, 1))
      ).run()
      totals.add(report)
      if verbose || report.violation != nil { show(report) }
      if report.violation != nil { throw ExitCode(1) }
    }
    print("\(totals) in \(ContinuousClock.now - start): nothing wrong.")
  }

  private func show(_ report: Simulation.Report) {
    if trace > 0 { print((["plan: \(report.plan)"] + report.trace).joined(separator: "\n")) }
    let outcomes = report.outcomes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    let summary =
      "\(report.seqs) seqs (\(outcomes.joined(separator: ", "))), \(report.crashes) crashes, digest "
      + String(report.digest, radix: 16)
    guard let violation = report.violation else { return print("seed \(report.seed): \(summary)") }
    print(
      """
      seed \(report.seed) fails: \(violation)
        \(summary)
      Run it again: scripts/simulate --seed \(report.seed) --steps \(steps)\(canary.map { " --canary \($0.rawValue)" } ?? "") --trace 200
      """)
  }

  /// A broken precondition ends the process: say first which seed it was.
  private static func announceTraps() {
    for number in [SIGILL, SIGTRAP, SIGSEGV, SIGABRT, SIGBUS] {
      signal(number) { number in
        var digits: (UInt64, [UInt8]) = (SimulateCommand.current.load(ordering: .relaxed), [])
        repeat {
          digits.1.insert(UInt8(48 + digits.0 % 10), at: 0)
          digits.0 /= 10
        } while digits.0 > 0
        let text = Array("seed ".utf8) + digits.1 + Array(" ends with a trap\n".utf8)
        _ = text.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
        signal(number, SIG_DFL)
        raise(number)
      }
    }
  }
}

extension Simulation.Canary: ExpressibleByArgument {}

/// What all seeds together did.
private struct Totals: CustomStringConvertible {
  private var seeds = 0
  private var steps = 0
  private var seqs: Int64 = 0
  private var crashes = 0

  mutating func add(_ report: Simulation.Report) {
    seeds += 1
    steps += report.steps
    seqs += report.seqs
    crashes += report.crashes
  }

  var description: String { "\(seeds) seeds, \(steps) steps, \(seqs) seqs, \(crashes) crashes" }
}
