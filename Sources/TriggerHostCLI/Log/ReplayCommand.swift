import ArgumentParser
import Foundation
import TriggerCore
import TriggerHost
import TriggerStorage

struct Replay: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Rebuild the state of any seq from the log, or execute history again and compare.",
    discussion: """
      Reads the data directory only, also while a host runs.

        trigger-host replay --data data --to 1000          # the state right after seq 1000
        trigger-host replay --data data --verify           # execute all of it again; exit 1 where it differs
      """)

  @Option(help: "The data directory.", completion: .directory) var data: String
  @Option(help: "With --verify: the first seq to execute; those before are applied only.") var from: Int64 = 1
  @Option(help: "The last seq. Default: the newest.") var to: Int64 = .max
  @Flag(help: "Execute the scripts again and name the first seq whose result differs.") var verify = false
  @Flag(help: "Print JSON: the state as {store: {key: value}}, or the verdict.") var json = false

  func validate() throws {
    guard from >= 1, to >= 1 else { throw ValidationError("seqs count from 1") }
  }

  func run() throws {
    let reader = try LogReader(path: data)
    let replayer = Replayer { number in
      guard let (identity, files) = try reader.tree(number) else { return nil }
      var tree = ScriptTree(files: files)
      tree.identity = identity
      return tree
    }
    let started = ContinuousClock.now
    var difference: Replayer.Difference?
    var checked = 0
    try reader.visit(to: to) { record in
      guard verify, record.seq >= from, difference == nil else { return try replayer.apply(record) }
      difference = try replayer.verify(record)
      checked += 1
    }
    let seconds = (ContinuousClock.now - started) / .seconds(1)
    if verify { try sayVerdict(difference, checked, seconds) } else { try sayState(replayer) }
    if difference != nil { throw ExitCode(1) }
  }

  private func sayVerdict(_ difference: Replayer.Difference?, _ checked: Int, _ seconds: Double) throws {
    if json {
      var fields: [String: Value] = ["verified": .int(Int64(checked)), "same": .bool(difference == nil)]
      if let difference {
        fields["seq"] = .int(difference.seq)
        fields["trigger"] = .string(difference.trigger)
        fields["reason"] = .string(difference.reason)
      }
      return print(try JSON.text(.map(fields)))
    }
    if let difference { return print("differs: \(difference)") }
    print(String(format: "%d seqs verified in %.2f s: all the same", checked, seconds))
  }

  private func sayState(_ replayer: Replayer) throws {
    if json {
      let stores = try Dictionary(
        uniqueKeysWithValues: replayer.storeNames.map { ($0, Value.map(try replayer.content(of: $0))) })
      return print(try JSON.text(.map(stores)))
    }
    print("seq \(replayer.seq)")
    for name in replayer.storeNames {
      let content = try replayer.content(of: name)
      print("store \(name), \(content.count) keys")
      for (key, value) in content.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
        print("  \(key) = \(value)")
      }
    }
  }
}
