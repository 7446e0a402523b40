import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost

struct Replay: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Rebuild the state of any seq, execute history again and compare, or try other scripts on it.",
    discussion: """
      Reads the data directory only, also while a host runs.

        trigger-host replay --data data --to 1000             # the state then
        trigger-host replay --data data --export state.jsonl  # a line per key
        trigger-host replay --data data --verify              # execute it again
        trigger-host replay --data data --with triggers       # what if?
        trigger-host replay --data data --with triggers --from 500 --fail-on-diff

      --with: outside events keep their order and their times, what the new scripts emit comes after its cause \
      (where history had the same emission, in its place), and all of it runs on the state before --from. \
      Events that reached no trigger were not recorded. coalesce, debounce, throttle and mode decide by time:
      operations that history has keep what it decided, new ones all run.
      """)

  @OptionGroup var kept: KeptData
  @Option(help: "The first seq to execute; those before are applied only.") var from: Int64?
  @Option(help: "The last seq. Default: the newest.") var to: Int64?
  @Flag(help: "Execute the scripts again and name the first seq whose result differs.") var verify = false
  @Option(
    help: "Execute the recorded events against the scripts of this directory and say what differs.",
    completion: .directory)
  var with: String?
  @Option(
    help:
      "A configuration whose limits and stores apply. Default: for --with the host.yaml in its directory or beside it; else the host.yaml here; else the usual limits, and the stores that were written.",
    completion: .file(extensions: ["yaml", "yml"]))
  var config: String?
  @Option(help: "Threads of --verify. Default: one per core.") var workers: Int?
  @Option(help: "Write the state as JSON Lines to this file; - is standard output.", completion: .file())
  var export: String?
  @Flag(help: "Print JSON: the state as {store: {key: value}}, the verdict, or what differs.") var json =
    false
  @Flag(help: "With --with: print every difference, not the first 20.") var all = false
  @Flag(help: "With --with: exit 1 when anything differs.") var failOnDiff = false

  func validate() throws {
    for seq in [from, to] { if let seq, seq < 1 { throw ValidationError("seqs count from 1, got \(seq)") } }
    if let from, let to, from > to { throw ValidationError("--from \(from) comes after --to \(to)") }
    if verify, with != nil { throw ValidationError("--verify and --with exclude each other") }
    let executes = verify || with != nil
    if from != nil, !executes { throw ValidationError("--from goes with --verify or --with") }
    if config != nil, !executes { throw ValidationError("--config goes with --verify or --with") }
    if workers != nil, !verify { throw ValidationError("--workers goes with --verify") }
    if all || failOnDiff, with == nil {
      throw ValidationError("\(all ? "--all" : "--fail-on-diff") goes with --with")
    }
    if export != nil, executes || json { throw ValidationError("--export goes with --data and --to alone") }
    if let workers, !(1...64).contains(workers) {
      throw ValidationError("--workers is 1 to 64, got \(workers)")
    }
  }

  func run() throws {
    if verify { return try verifyHistory() }
    if let with { return try tryScripts(of: with) }
    let history = try History(kept.path())
    try history.require(to)
    let state = try history.state(at: to ?? history.last)
    if let export {
      try StateOutput(state).export(to: export)
    } else {
      try StateOutput(state).show(asJSON: json)
    }
  }
}
