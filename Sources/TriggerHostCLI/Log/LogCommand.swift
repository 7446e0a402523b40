import ArgumentParser
import TriggerCore
import TriggerHost
import TriggerStorage

/// `trigger-host log cat|verify|export`.
struct LogCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "Read the log of commits.",
    subcommands: [Cat.self, Verify.self, Export.self])

  /// Which records.
  struct Filter: ParsableArguments {
    @Option(help: "The data directory.", completion: .directory) var data: String
    @Option(help: "The first seq.") var from: Int64 = 1
    @Option(help: "The last seq.") var to: Int64 = .max
    @Option(help: "Only this trigger.") var trigger: String?
    @Option(help: "Only records that changed this store.") var store: String?
    @Option(help: "Only records that changed this key.") var key: String?
    @Option(help: "Only this outcome: committed, failed, deferred or skipped.") var outcome: String?

    func accepts(_ record: LogRecord) -> Bool {
      if let trigger, record.trigger != trigger { return false }
      if let outcome, "\(record.outcome)" != outcome { return false }
      guard store != nil || key != nil else { return true }
      return record.intents.contains { intent in
        (store == nil || intent.store == store)
          && (key == nil || intent.kind == "replace" || String(decoding: intent.key, as: UTF8.self) == key)
      }
    }

    func visit(_ body: (LogRecord) throws -> Void) throws {
      try LogReader(path: data).visit(from: from, to: to) { if accepts($0) { try body($0) } }
    }
  }

  struct Cat: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print records for people.")
    @OptionGroup var filter: Filter

    func run() throws {
      try filter.visit { record in
        print(record.headline)
        for intent in record.intents { print("    \(intent)") }
        if let error = record.error { print("    \(error.split(separator: "\n").first ?? "")") }
      }
    }
  }

  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print records as JSON Lines.")
    @OptionGroup var filter: Filter

    func run() throws { try filter.visit { print($0.json.jsonText) } }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check the checksums and the order of the whole log; exit 1 at the first damage.")
    @Option(help: "The data directory.", completion: .directory) var data: String

    func run() throws {
      var count = 0
      try LogReader(path: data).visit { _ in count += 1 }
      print("\(count) records are intact.")
    }
  }
}

struct Why: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what wrote a value, and what caused that.",
    discussion: """
        trigger-host why portfolio EURUSD --data data
        trigger-host why portfolio EURUSD --data data --at 1000
      """)

  @Argument(help: "The store.") var store: String
  @Argument(help: "The key.") var key: String
  @Option(help: "The data directory.", completion: .directory) var data: String
  @Option(help: "As of this seq. Default: the newest.") var at: Int64 = .max

  func run() throws {
    let reader = try LogReader(path: data)
    var writer: LogRecord?
    try reader.visit(to: at) { record in
      let writes = record.intents.contains {
        $0.store == store && ($0.kind == "replace" || String(decoding: $0.key, as: UTF8.self) == key)
      }
      if writes { writer = record }
    }
    guard var record = writer else {
      printError("nothing has written \(store)/\(key)\(at == .max ? "" : " up to seq \(at)")")
      throw ExitCode(1)
    }
    var depth = 0
    while true {
      print(String(repeating: "  ", count: depth) + record.headline)
      if depth == 0 {
        for intent in record.intents where intent.store == store { print("    \(intent)") }
      }
      guard let cause = record.cause else { break }
      var found: LogRecord?
      try reader.visit(from: cause.seq, to: cause.seq) { found = $0 }
      guard let found else { break }
      record = found
      depth += 1
    }
  }
}

extension LogRecord {
  /// One line: seq, time, trigger, event, outcome.
  fileprivate var headline: String {
    var text =
      "seq \(seq)  \(Timestamp(nanoseconds: admitted))  \(trigger)  \(kind) \(event) \(eventText)  \(outcome)"
    if identity != seq { text += "  first seq \(identity)" }
    if attempts > 1 { text += "  \(attempts) attempts" }
    if tree > 0 { text += "  tree \(tree)" }
    return text
  }

  private var eventText: String { String("\(decoded(payload))".prefix(100)) }
}
