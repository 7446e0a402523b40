import HostConfig
import HTTPTypes
import Hummingbird
import TriggerCore
import TriggerHost
import TriggerReplay
import TriggerRuntime

/// `GET /v1/executions` and `GET /v1/executions/{seq}`.
struct ExecutionRoutes: Sendable {
  let reader: HostReader

  static let limit: ClosedRange<Int64> = 1...1000
  /// Seqs that are read at a time, and how often for one page: a page may end before it is full.
  private static let (window, windows) = (Int64(512), 40)

  // MARK: Many

  /// Newest first, or from a seq on.
  func list(_ request: Request, _ context: ServerContext) async throws -> Response {
    let query = try request.query(
      "from", "before", "limit", "trigger", "outcome", "kind", "store", "key", "prefix", "topic")
    let filter = try RecordFilter(query)
    let limit = Int(try query.integer("limit", in: Self.limit) ?? 100)
    let from = try query.integer("from", in: 1 ... .max)
    let before = try query.integer("before", in: 1 ... .max)
    if from != nil, before != nil { throw Problem(.badQuery, "'from' and 'before' exclude each other") }
    let newest = reader.newest
    let page = try await reader.read { log in
      let first = max(1, try log.firstSeq())
      if let from {
        if from < first {
          throw Problem(
            .seqGone, "the log begins with seq \(first) (log.retain)", fields: ["first": .int(first)])
        }
        return try Self.forwards(log, from: from, to: newest, filter, limit)
      }
      return try Self.backwards(log, before: min(before ?? .max, newest + 1), to: first, filter, limit)
    }
    var fields: Value.Map = ["seq": .int(newest), "executions": .array(page.records.map(\.json))]
    if let next = page.next {
      var link = "/v1/executions?"
      for name in ["limit"] + RecordFilter.names {
        if let value = query[name] { link += "\(name)=\(Target.encoded(value))&" }
      }
      fields["next"] = .string(link + (from == nil ? "before" : "from") + "=\(next)")
    }
    return Response(status: .ok, json: .map(fields))
  }

  private struct Page: Sendable {
    var records: [LogRecord] = []
    /// Where the page after it begins; nil when there is none.
    var next: Int64?
  }

  private static func forwards(
    _ log: LogReader, from: Int64, to newest: Int64, _ filter: RecordFilter, _ limit: Int
  ) throws -> Page {
    var (page, next) = (Page(), from)
    for _ in 0..<windows where next <= newest && page.records.count < limit {
      let last = min(newest, next + window - 1)
      for record in try records(log, next, last, filter) where page.records.count < limit {
        page.records.append(record)
        next = record.seq + 1
      }
      if page.records.count < limit { next = last + 1 }
    }
    page.next = next <= newest ? next : nil
    return page
  }

  private static func backwards(
    _ log: LogReader, before: Int64, to first: Int64, _ filter: RecordFilter, _ limit: Int
  ) throws -> Page {
    var (page, before) = (Page(), before)
    for _ in 0..<windows where before > first && page.records.count < limit {
      let from = max(first, before - window)
      for record in try records(log, from, before - 1, filter).reversed() where page.records.count < limit {
        page.records.append(record)
        before = record.seq
      }
      if page.records.count < limit { before = from }
    }
    page.next = before > first ? before : nil
    return page
  }

  private static func records(
    _ log: LogReader, _ from: Int64, _ to: Int64, _ filter: RecordFilter
  ) throws -> [LogRecord] {
    var records: [LogRecord] = []
    try log.visitViews(from: from, to: to) { view in
      if try filter.passes(view) { records.append(try LogRecord(view)) }
    }
    return records
  }

  // MARK: One

  /// All that is known of a seq.
  func one(_ request: Request, _ context: ServerContext) async throws -> Response {
    let text = try request.segment(2)
    let query = try request.query("trace")
    let isTraced = try query.word("trace", ["true": true, "false": false]) ?? false
    guard let seq = Int64(text), seq > 0 else {
      throw Problem(.noSeq, "a seq is a whole number from 1, got '\(text.prefix(40))'")
    }
    let newest = reader.newest
    let known = reader.host.coordinator.executionRecord(for: seq)
    if seq > newest {
      guard let known else { throw Problem(.noSeq, "the newest seq is \(newest)") }
      return Response(status: .ok, json: .map(known.fields))
    }
    if reader.host.openLog == nil, let known { return Response(status: .ok, json: .map(known.fields)) }
    guard let found = try await reader.read({ try Self.found($0, seq, newest) }) else {
      throw Problem(.seqGone, "seq \(seq) is not kept any more (log.retain)")
    }
    var fields = found.fields
    if let known { fields.add(known) }
    if isTraced {
      let config = reader.host.config
      fields["trace"] = try await reader.replay { try ExecutionTrace(found.record, config, $0).json }
    }
    return Response(status: .ok, json: .map(fields))
  }

  private struct Found: Sendable {
    var record: LogRecord
    var consequences: [LogRecord]
    var continued: Int64?

    var fields: Value.Map {
      guard case .map(var fields) = record.json else { return [:] }
      fields["hops"] = .int(Int64(record.hops))
      fields["emissions"] = .array(
        record.emissions.map { emission in
          var fields: Value.Map = [
            "kind": .string("\(emission.kind)"), "event": .string(emission.name),
            "triggers": .array(emission.triggers.map { .string($0) }),
          ]
          fields.add(Value(encoded: emission.payload), as: "payload")
          return .map(fields)
        })
      fields["consequences"] = .array(
        consequences.map {
          ["seq": .int($0.seq), "trigger": .string($0.trigger), "outcome": .string("\($0.outcome)")]
        })
      if let continued { fields["continued_as"] = .int(continued) }
      if let event = record.outside { fields["event_id"] = .string("\(event.id)") }
      return fields
    }
  }

  /// The record, and what came of it within the seqs that a page reads.
  private static func found(_ log: LogReader, _ seq: Int64, _ newest: Int64) throws -> Found? {
    guard try log.firstSeq() <= seq else { return nil }
    var record: LogRecord?
    try log.visit(from: seq, to: seq) { record = $0 }
    guard let record else { return nil }
    var found = Found(record: record, consequences: [])
    let emitted = record.emissions.reduce(0) { $0 + $1.triggers.count }
    var next = seq + 1
    for _ in 0..<windows where next <= newest {
      let isAll =
        found.consequences.count >= emitted && (record.outcome != .deferred || found.continued != nil)
      if isAll { break }
      try log.visitViews(from: next, to: min(newest, next + window - 1)) { view in
        if view.cause?.seq == seq { found.consequences.append(try LogRecord(view)) }
        if record.outcome == .deferred, found.continued == nil, view.identity == record.identity {
          found.continued = view.seq
        }
      }
      next += window
    }
    return found
  }
}

extension ExecutionRecord {
  /// What the engine knows of a seq that is in no log.
  fileprivate var fields: Value.Map {
    var fields: Value.Map = [
      "seq": .int(seq), "identity": .int(identity), "trigger": .string(trigger),
      "admitted": .string("\(Timestamp(nanoseconds: admitted))"), "attempts": .int(Int64(attempts)),
      "state": .string(stateText),
    ]
    if case .decided(let outcome) = state { fields["outcome"] = .string("\(outcome)") }
    if let failure {
      fields["code"] = .string(failure.code.rawValue)
      fields["error"] = .string(failure.message)
    }
    fields.add(self)
    return fields
  }

  private var stateText: String {
    switch state {
    case .running: "running"
    case .waiting: "waiting"
    case .rerunning: "rerunning"
    case .decided: "decided"
    }
  }
}

extension Value.Map {
  /// What records do not have.
  fileprivate mutating func add(_ known: ExecutionRecord) {
    self["conflicts"] = .int(Int64(known.conflicts))
    if let decided = known.decided { self["decided"] = .string("\(Timestamp(nanoseconds: decided))") }
  }
}

/// An operation run again from the log, for what it read and said.
struct ExecutionTrace {
  let json: Value

  /// - Throws: `Problem`, `seq_gone`; what the log says.
  init(_ record: LogRecord, _ config: HostConfig, _ log: LogReader) throws {
    guard record.tree > 0, record.outcome != .deferred, let (identity, files) = try log.tree(record.tree)
    else {
      json = .null
      return
    }
    if record.seq > 1 { try PastStates.require(record.seq - 1, log) }
    let configuration = try EngineConfiguration(config, workers: 1)
    var defaults = TriggerOptions(config)
    // Scripts that ran are what they were.
    defaults.ceilings = nil
    var tree = ScriptTree(files: files, defaults: defaults)
    tree.identity = identity
    let past = try PastHost(
      record.seq > 1 ? log : nil, to: record.seq - 1, stores: config.emptyStores, configuration)
    let replayer = Replayer(past.coordinator, past.recovery, configuration: configuration)
    guard let result = replayer.execute(Replayer.Trial(record), of: tree) else {
      json = .null
      return
    }
    var fields: Value.Map = [
      "outcome": .string("\(result.outcome)"), "intents": .array(result.intents.map(\.json)),
      "reads": .array(result.reads.map { .string($0) }),
      "log": .array(
        result.logs.map {
          var fields: Value.Map = [
            "level": .string($0.level), "message": .string($0.message), "place": .string($0.place),
          ]
          fields.add($0.fields ?? .null, as: "fields")
          return .map(fields)
        }),
    ]
    if let code = result.code { fields["code"] = .string(code.rawValue) }
    if let error = result.error { fields["error"] = .string(error) }
    if result.logLinesDropped > 0 { fields["log_dropped"] = .int(Int64(result.logLinesDropped)) }
    json = .map(fields)
  }
}
