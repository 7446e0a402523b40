import ArgumentParser
import TriggerCore
import TriggerHost
import TriggerStorage

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
      try LogPrinter(filter: filter, follows: follow) { json ? $0.jsonLine : style.text(of: $0) }.run()
    }
  }

  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print records as JSON Lines.")
    @OptionGroup var filter: LogFilter
    @Flag(help: "Go on with what is committed from now on, or with --from from there.") var follow = false

    func run() throws { try LogPrinter(filter: filter, follows: follow) { $0.jsonLine }.run() }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract:
        "Check checksums and order of the whole log and its scripts, and whether it gives the state it gave; exit 1 at the first damage.",
      discussion: """
        The stores are put together again, from each checkpoint and from the first record that is kept, and compared \
        with the digests that were kept with the commits. Of two directories that end with the same seq, stores with \
        equal digests are equal.
        """)
    @OptionGroup var kept: KeptData
    @Flag(help: "Print one JSON object: intact, records, first, last, digests as {store: digest}, error.")
    var json = false

    func run() throws {
      let history = try History(kept.path())
      var (count, first, last) = (Int64(0), Int64(0), Int64(0))
      var failure: String?
      var digests: StateDigests?
      do {
        var trees: Set<Int> = [0]
        try history.reader.visit { record in
          if count == 0 { first = record.seq }
          if trees.insert(record.tree).inserted { try check(tree: record.tree, history, at: record.seq) }
          (count, last) = (count + 1, record.seq)
        }
        let state = try StateVerification(history.reader)
        digests = state.digests
        failure = state.damages.first.map { "\(history.reader.path): \($0.place): \($0.what)" }
      } catch let error as LogError { failure = "\(error)" } catch let error as MissingScripts {
        failure = error.description
      }
      try say(count, first, last, digests, failure)
      if failure != nil { throw ExitCode(1) }
    }

    private struct MissingScripts: Error, CustomStringConvertible { var description: String }

    private func check(tree: Int, _ history: History, at seq: Int64) throws {
      guard try history.reader.tree(tree) == nil else { return }
      throw MissingScripts(
        description: "\(try kept.path()): script tree \(tree), which seq \(seq) ran with, is missing")
    }

    private func say(
      _ count: Int64, _ first: Int64, _ last: Int64, _ digests: StateDigests?, _ failure: String?
    ) throws {
      guard json else {
        if let failure { return printError(failure) }
        print("\(count) records are intact.")
        guard let digests, !digests.stores.isEmpty else { return }
        print("As of seq \(digests.seq):")
        for store in digests.stores { print("  \(store.digest)  \(store.name)") }
        return
      }
      var fields: [String: Value] = [
        "intact": .bool(failure == nil), "records": .int(count), "first": .int(first), "last": .int(last),
      ]
      if let digests { fields["digests"] = digests.stores.json }
      if let failure { fields["error"] = .string(failure) }
      print(try JSON.text(.map(fields)))
    }
  }
}
