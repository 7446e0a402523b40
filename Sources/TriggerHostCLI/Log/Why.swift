import ArgumentParser
import TriggerCore
import TriggerHost
import TriggerReplay

struct Why: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what wrote a value, and what caused that.",
    discussion: """
      The seq, its trigger, script and event, the value before and after, and what caused the event, up to \
      the one from outside.

        trigger-host why portfolio EURUSD --data data
        trigger-host why portfolio EURUSD --data data --at 1000 --history 5
      """)

  @Argument(help: "The store.") var store: String
  @Argument(help: "The key.") var key: String
  @OptionGroup var kept: KeptData
  @Option(help: "As of this seq. Default: the newest.") var at: Int64?
  @Option(help: "Also the so many writers before.") var history = 0
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    if let at, at < 1 { throw ValidationError("seqs count from 1, got \(at)") }
    if !(0...10_000).contains(history) {
      throw ValidationError("--history is 0 to 10000, got \(history)")
    }
  }

  func run() throws {
    let log = try History(kept.path())
    try log.require(at)
    let writers = try KeyWriters(log, store: store, key: key).newest(history + 1, at: at ?? log.last)
    guard let newest = writers.last else {
      let first = try log.reader.firstSeq()
      let rest = first > 1 ? " since seq \(first), where the log begins now" : ""
      let hint = try likeness(in: log.state(at: at ?? log.last))
      Output.problem(
        "nothing has written \(store)/\(key)\(at.map { " up to seq \($0)" } ?? "")\(rest)\(hint)")
      throw ExitCode(1)
    }
    let causes = try causes(of: newest.record, log)
    let script = try Script(newest.record, log)
    if json { return Output.json(self.value(writers, causes, script)) }
    show(writers, causes, script)
  }

  /// Which store or key may be meant.
  private func likeness(in state: Replayer) throws -> String {
    guard state.storeNames.contains(store) else {
      return Suggestion.clause(for: store, among: state.storeNames)
    }
    var keys: [String] = []
    try state.visit(store) { key, _, _ in keys.append(key) }
    return Suggestion.clause(for: key, among: keys)
  }

  /// What caused the event, the nearest first.
  private func causes(of record: LogRecord, _ log: History) throws -> [LogRecord] {
    var causes: [LogRecord] = []
    var last = record
    while let seq = last.cause?.seq ?? last.retryOf, let cause = try log.record(seq) {
      causes.append(cause)
      last = cause
    }
    return causes
  }

  /// The file that a record's trigger is in.
  private struct Script {
    var path: String
    /// XXH64 of the file, as `xxhsum` prints it.
    var hash: String
    var tree: ScriptTree.Identity

    /// Nil for a trigger in Swift, and when the tree is not kept.
    init?(_ record: LogRecord, _ log: History) throws {
      guard record.tree > 0, let tree = try log.tree(record.tree), let identity = tree.identity,
        let script = tree.triggers.first(where: { $0.name == record.trigger }),
        let file = tree.files[script.path]
      else { return nil }
      let digits = String(file.withUnsafeBytes { XXH64.of($0) }, radix: 16)
      hash = String(repeating: "0", count: 16 - digits.count) + digits
      (path, self.tree) = (script.path, identity)
    }

    var json: Value {
      [
        "path": .string(path), "xxh64": .string(hash), "tree": .int(Int64(tree.number)),
        "tree_time": .string("\(Timestamp(nanoseconds: tree.time))"),
      ]
    }
  }

  // MARK: Output

  private func show(_ writers: [KeyWriters.Writer], _ causes: [LogRecord], _ script: Script?) {
    let (newest, style) = (writers.last!, RecordStyle())
    Output.result("\(store)/\(key) = \(newest.change.new.map { "\($0)" } ?? "nothing")")
    Output.result("was \(newest.change.old.map { "\($0)" } ?? "nothing") before")
    Output.result(style.headline(newest.record))
    for intent in newest.record.intents where intent.changes(store: store, key: key) {
      Output.result("    \(intent)")
    }
    if let script {
      let time = Timestamp(nanoseconds: script.tree.time)
      Output.result(
        "    by \(script.path) (XXH64 \(script.hash)) of script tree \(script.tree.number), in force since \(time)"
      )
    }
    for (depth, cause) in causes.enumerated() {
      Output.result("\(String(repeating: "  ", count: depth + 1))because of \(style.headline(cause))")
    }
    for writer in writers.dropLast().reversed() {
      Output.result("before that \(style.headline(writer.record))")
      Output.result("    \(store)/\(key) = \(writer.change.new.map { "\($0)" } ?? "nothing")")
    }
  }

  private func value(_ writers: [KeyWriters.Writer], _ causes: [LogRecord], _ script: Script?) -> Value {
    let newest = writers.last!
    var fields: Value.Map = [
      "store": .string(store), "key": .string(key), "written_by": newest.record.json,
      "because_of": .array(causes.map(\.json)),
      "history": .array(
        writers.dropLast().reversed().map { writer in
          var fields: Value.Map = ["written_by": writer.record.json]
          fields.add(writer.change)
          return .map(fields)
        }),
    ]
    fields.add(newest.change)
    if let script { fields["script"] = script.json }
    return .map(fields)
  }
}

extension Value.Map {
  /// `value` and `value_before`, as far as there are any.
  fileprivate mutating func add(_ change: KeyHistory.Change) {
    if let new = change.new { add(new, as: "value") }
    if let old = change.old { add(old, as: "value_before") }
  }
}

/// Finds who wrote a key, the newest first: looks back through the log in parts that grow, and takes the value
/// before the oldest of them from the state there.
struct KeyWriters {
  struct Writer {
    var record: LogRecord
    var change: KeyHistory.Change
  }

  private static let firstPart: Int64 = 4096

  private let log: History
  private let store: String
  private let key: String

  init(_ log: History, store: String, key: String) {
    (self.log, self.store, self.key) = (log, store, key)
  }

  /// The newest writers up to a seq, oldest first; fewer when the log has no more.
  func newest(_ count: Int, at seq: Int64) throws -> [Writer] {
    var wanted = count
    while true {
      let (records, isAll) = try candidates(wanted, at: seq)
      guard let first = records.first else { return [] }
      var key = KeyHistory(store: store, key: key, value: try value(before: first.seq))
      let writers = try records.compactMap { record in
        try key.apply(record).map { Writer(record: record, change: $0) }
      }
      // A replacement of the whole store may have left the key as it was.
      if writers.count >= count || isAll { return Array(writers.suffix(count)) }
      wanted *= 2
    }
  }

  /// Records that may have changed the key, oldest first, and whether the log has no more.
  private func candidates(_ count: Int, at seq: Int64) throws -> (records: [LogRecord], isAll: Bool) {
    var found: [LogRecord] = []
    var (to, size) = (seq, Self.firstPart)
    let oldest = max(1, try log.reader.firstSeq())
    while to >= oldest, found.count < count {
      let from = max(oldest, to - size + 1)
      var part: [LogRecord] = []
      try log.reader.visitViews(from: from, to: to) { view in
        guard try mayChange(view) else { return }
        part.append(try LogRecord(view))
        if part.count > 2 * count { part.removeFirst(part.count - count) }
      }
      found = Array((part + found).suffix(count))
      (to, size) = (from - 1, size * 4)
    }
    return (found, found.count < count)
  }

  private func mayChange(_ view: RecordView) throws -> Bool {
    var may = false
    try view.forEachIntent { intent in
      guard case .change(let change, let name) = intent.action, name.elementsEqual(store.utf8) else { return }
      if change == .replace || intent.key.elementsEqual(key.utf8) { may = true }
    }
    return may
  }

  private func value(before seq: Int64) throws -> Value? {
    seq == 1 ? nil : try log.state(at: seq - 1).value(store, key)
  }
}
