import ArgumentParser
import TriggerCore
import TriggerHost
import TriggerReplay
import TriggerRuntime
import TriggerSQLite

/// `trigger-host log cat|verify|export`.
struct LogCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "Read the log of commits.",
    discussion: """
      Also while a host runs.

        trigger-host log cat --data data --follow         # Ctrl-C ends it
        trigger-host log cat --data data --outcome failed --since 2h
        trigger-host log export --data data --store orders --key EURUSD --limit 10
        trigger-host log verify --data data
      """,
    subcommands: [Cat.self, Verify.self, Export.self])

  struct Cat: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print records for people.")
    @OptionGroup var filter: LogFilter
    @Flag(help: "Go on with what is committed from now on, or with --from from there.") var follow = false
    @Flag(help: "Print JSON Lines, like export.") var json = false

    func run() throws {
      let style = RecordStyle()
      try LogPrinter(filter: filter, follows: follow) { record, out in
        if json { try out.json(record.json) } else { try out.put(style.text(of: record)) }
      }.run()
    }
  }

  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print records as JSON Lines.")
    @OptionGroup var filter: LogFilter
    @Flag(help: "Go on with what is committed from now on, or with --from from there.") var follow = false

    func run() throws { try LogPrinter(filter: filter, follows: follow) { try $1.json($0.json) }.run() }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract:
        "Check everything that is kept, and whether it gives the state that was committed; exit 1 for damage.",
      discussion: """
        Pages of the file, records, checkpoints, scripts, accepted events: every damage is named, with its place. \
        The stores are put together again, from each checkpoint and from the first record that is kept, and compared \
        with the digests that were kept with the commits. Of two directories that end with the same seq, stores with \
        equal digests are equal.
        """)
    @OptionGroup var kept: KeptData
    @Flag(
      help:
        "Print one JSON object: intact, records, first, last, digests as {store: digest}, damages, error (the first of them)."
    )
    var json = false

    func run() throws {
      let path = try kept.path()
      let source = try SQLiteLogSource(path: path)
      let verified = LogVerification(LogReader(source), after: FileVerification(source).damages)
      if json {
        var fields: Value.Map = [
          "intact": .bool(verified.damages.isEmpty), "records": .int(verified.records),
          "first": .int(verified.first), "last": .int(verified.last),
          "damages": .array(
            verified.damages.map { ["place": .string($0.place), "what": .string($0.what)] }),
        ]
        if let digests = verified.digests { fields["digests"] = digests.stores.json }
        if let damage = verified.damages.first { fields["error"] = .string("\(path): \(damage)") }
        Output.json(.map(fields))
      } else if verified.damages.isEmpty {
        Output.result("\(verified.records) records are intact.")
        if let digests = verified.digests, !digests.stores.isEmpty {
          Output.result("As of seq \(digests.seq):")
          for store in digests.stores { Output.result("  \(store.digest)  \(store.name)") }
        }
      } else {
        for damage in verified.damages { Output.problem("\(path): \(damage)") }
        Output.result(
          "\(verified.records) records are intact; \(counted(verified.damages.count, "damage")) found.")
      }
      if !verified.damages.isEmpty { throw ExitCode(1) }
    }
  }
}
