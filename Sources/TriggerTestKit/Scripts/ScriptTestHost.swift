import Dispatch
import Synchronization
import TriggerCore
import TriggerHost

/// A host that a test file asked for: answers `run`, `send`, `advance` and its like. The test file's thread.
final class ScriptTestHost {
  /// What the clock of a test shows: 2026-01-01T00:00:00Z.
  static let start = Timestamp(nanoseconds: 1_767_225_600_000_000_000)

  private let host: TestHost
  private let logs: LogsBySeq
  /// The only trigger of a `run`.
  private let only: ScriptTree.Script?
  /// Records that were given to the test.
  private var seen = 0
  private let limit: TestLimit

  /// - Parameters:
  ///   - limit: no call takes longer.
  ///   - options: `stores`, `at`, `seed`.
  ///   - trigger: name or file of the only trigger; nil: all, with their schedules.
  init(_ tests: ScriptTests, _ limit: TestLimit, _ options: Fields, only trigger: String? = nil) throws {
    self.limit = limit
    var configuration = tests.configuration
    // One after another: a test is the same on every machine.
    configuration.workers = 1
    configuration.strictOrder = true
    if case .int(let seed)? = options["seed"] { configuration.seed = UInt64(bitPattern: seed) }
    var stores = try Self.stores(options["stores"])
    if configuration.strictStores,
      let name = stores.keys.sorted().first(where: { !tests.stores.contains($0) })
    {
      let hint = Suggestion.clause(for: name, among: tests.stores)
      throw ScriptTestError("no store '\(name)' is configured and strict_stores is on\(hint)")
    }
    for name in tests.stores where stores[name] == nil { stores[name] = [:] }
    let time = try options.text("at").map { try Timestamp(parsing: $0) } ?? Self.start
    var tree = tests.tree
    only = try trigger.map { try tree.keep(only: $0) }
    let logs = LogsBySeq()
    self.logs = logs
    host = try TestHost(
      tree: tree, schedules: trigger == nil ? tests.schedules : [], stores: stores,
      configuration: configuration,
      start: time, observer: { logs.add($0.seq, $1) })
  }

  func stop() { host.stop() }

  /// Runs the only trigger with an event.
  func run(_ fields: Fields) throws -> Value {
    guard let only else { preconditionFailure("a host with all triggers runs what it is sent") }
    let names = Set(only.options.on.map(\.pattern))
    let usual = names.count == 1 && !names.first!.contains("*") ? names.first! : "test"
    let name =
      Fields(fields["options"] ?? .null).text("name")
      ?? (only.options.on.contains { $0.kind == .commit } ? "commit" : usual)
    let event = Event(name, fields["event"] ?? .map([:]))
    try wait("run") { [host] in
      _ = try await host.queue.enqueue(event, toTrigger: only.name)
      await host.queue.waitUntilQuiet()
    }
    guard var result = newResults().first else { throw ScriptTestError("'\(only.name)' did not run") }
    result["stores"] = .map(try contents())
    return .map(result)
  }

  func reply(_ name: String, _ fields: Fields) throws -> Value {
    switch name {
    case "send":
      let kind = fields.text("kind") ?? "event"
      guard let kind = EventKind(rawValue: kind), [.event, .message, .data].contains(kind) else {
        throw ScriptTestError("the kind of an event is event, message or data, got '\(kind)'")
      }
      let event = Event(fields.text("name") ?? "", fields["payload"] ?? .map([:]), kind: kind)
      try wait("host:send") { [host] in _ = try await host.send(event) }
      return .array(newResults().map { .map($0) })
    case "advance":
      let span = try self.span(fields, of: "advance")
      try wait("host:advance") { [host] in await host.advance(by: span) }
      return .array(newResults().map { .map($0) })
    case "settle":
      let most = fields["span"] == nil ? .seconds(24 * 3600) : try self.span(fields, of: "settle")
      try wait("host:settle") { [host] in await host.settle(within: most) }
      let left = waiting
      if !left.isEmpty {
        throw ScriptTestError(
          "host:settle: the clock has moved on by \(TimeSpan.format(most)), and still there waits: "
            + left.prefix(3).joined(separator: "; ") + (left.count > 3 ? "; and \(left.count - 3) more" : ""))
      }
      return .array(newResults().map { .map($0) })
    case "waiting": return .array(host.waiting.map(waitingFields))
    case "store":
      guard let name = fields.text("name") else {
        throw ScriptTestError("host:store takes the name of a store")
      }
      return .map(try content(name))
    case "now": return .double(Double(host.clock.now()) / 1e9)
    case "results":
      return .array(results(from: 0).map { .map($0) })
    default: preconditionFailure("the prelude asks for '\(name)'")
    }
  }

  private func span(_ fields: Fields, of method: String) throws -> Duration {
    guard let text = fields.text("span"), let span = try? TimeSpan.parse(text), span > .zero else {
      throw ScriptTestError(
        "host:\(method) takes a span like \"90s\" or \"24h\", got \(fields["span"].map { "\($0)" } ?? "nothing")"
      )
    }
    guard span.nanoseconds <= TestHost.lastTime - host.clock.now() else {
      throw ScriptTestError("host:\(method): the clock of a test goes to the year 2200, no further")
    }
    return span
  }

  // MARK: Waiting

  /// Waits for async work, as long as the test may take; on a thread that may wait.
  ///
  /// - Throws: `OutOfTime`; what the work throws.
  private func wait(_ call: String, _ body: @escaping @Sendable () async throws -> Void) throws {
    let outcome = Mutex<(any Error)?>(nil)
    let done = DispatchSemaphore(value: 0)
    let task = Task {
      do { try await body() } catch { outcome.withLock { $0 = error } }
      done.signal()
    }
    if done.wait(timeout: .now() + limit.left) == .timedOut {
      let seen = state
      task.cancel()
      throw OutOfTime(description: "\(call) \(seen)")
    }
    if let error = outcome.withLock({ $0 }) { throw error }
  }

  /// What keeps the host from being done.
  private var state: String {
    let work = host.queue.work
    var parts = ["waited, with the clock at \(Timestamp(nanoseconds: host.clock.now()))"]
    if !work.running.isEmpty {
      let names = work.running.map { "'\($0)'" }.joined(separator: ", ")
      parts.append("\(names) \(work.running.count == 1 ? "is" : "are") running")
    }
    parts.append("operations queued: \(work.queued), done: \(host.log.encoded.count)")
    return parts.joined(separator: "; ")
  }

  /// What waits for the clock, and how the test would move it.
  var waiting: [String] {
    host.waiting.map { event in
      // Whole milliseconds, and late enough.
      let milliseconds = (event.due.nanoseconds - host.clock.now() + 999_999) / 1_000_000
      let span = TimeSpan.format(.milliseconds(milliseconds))
      return
        "\(event.reason) of '\(event.trigger)' (event '\(event.event)'), due in \(span): host:advance(\"\(span)\")"
    }
  }

  private func waitingFields(_ event: WaitingEvent) -> Value {
    [
      "trigger": .string(event.trigger), "event": .string(event.event),
      "reason": .string(event.reason.rawValue), "due": .double(Double(event.due.nanoseconds) / 1e9),
    ]
  }

  // MARK: Results

  private func newResults() -> [Value.Map] {
    let new = results(from: seen)
    seen += new.count
    return new
  }

  private func results(from place: Int) -> [Value.Map] {
    host.log.encoded.dropFirst(place).map { bytes in
      do { return result(try bytes.withUnsafeBytes { try LogRecord(decoding: $0) }) } catch {
        preconditionFailure("a record of our own cannot be read: \(error)")
      }
    }
  }

  private func result(_ record: LogRecord) -> Value.Map {
    var fields: Value.Map = [
      "trigger": .string(record.trigger), "event": .string(record.event), "seq": .int(record.seq),
      "try": .int(Int64(record.tries + 1)),
      "outcome": .string("\(record.outcome)"),
      "intents": .array(record.intents.filter { $0.action.change != nil }.map(Self.intent)),
      "emitted": .array(
        record.intents.filter { $0.action == .emit }
          .map {
            [
              "name": .string(String(decoding: $0.key, as: UTF8.self)),
              "payload": Self.value($0.value) ?? .null,
            ]
          }),
      "sent": .array(
        record.intents.compactMap { intent in
          guard let effect = intent.action.effect else { return nil }
          return [
            effect == .send ? "session" : "topic": .string(String(decoding: intent.key, as: UTF8.self)),
            "message": Self.value(intent.value) ?? .null,
          ]
        }),
      "logs": .array(logs[record.seq].map(Self.line)),
    ]
    if let code = record.code { fields["code"] = .string(code.rawValue) }
    if let error = record.error { fields["error"] = .string(error) }
    return fields
  }

  private static func intent(_ intent: LogRecord.Intent) -> Value {
    var fields: Value.Map = ["kind": .string(intent.kind), "store": .string(intent.store)]
    if !intent.key.isEmpty { fields["key"] = .string(String(decoding: intent.key, as: UTF8.self)) }
    if let value = value(intent.value) { fields["value"] = value }
    return .map(fields)
  }

  private static func line(_ line: ExecutionLog) -> Value {
    var fields: Value.Map = ["level": .string(line.level), "message": .string(line.message)]
    if let given = line.fields { fields["fields"] = given }
    return .map(fields)
  }

  private static func value(_ bytes: [UInt8]) -> Value? {
    bytes.isEmpty ? nil : try? bytes.withUnsafeBytes { try CanonicalEncoding.decode($0) }
  }

  // MARK: Stores

  private func contents() throws -> Value.Map {
    Value.Map(uniqueKeysWithValues: try host.coordinator.storeNames.map { ($0, .map(try content($0))) })
  }

  private func content(_ name: String) throws -> Value.Map {
    try host.coordinator.store(name).readSnapshot().value
  }

  private static func stores(_ value: Value?) throws -> [String: Value.Map] {
    guard let value else { return [:] }
    guard case .map(let stores) = value else {
      throw ScriptTestError("stores must be a table by name, got \(value)")
    }
    return try Dictionary(
      uniqueKeysWithValues: stores.map { name, content in
        guard case .map(let content) = content else {
          throw ScriptTestError("stores.\(name) must be a table by key, got \(content)")
        }
        return (name, content)
      })
  }
}

/// What executions logged. Any thread.
private final class LogsBySeq: Sendable {
  private let lines = Mutex<[Int64: [ExecutionLog]]>([:])

  func add(_ seq: Int64, _ new: [ExecutionLog]) {
    if !new.isEmpty { lines.withLock { $0[seq, default: []] += new } }
  }
  subscript(seq: Int64) -> [ExecutionLog] { lines.withLock { $0[seq] ?? [] } }
}

extension ScriptTree {
  /// Leaves one trigger, bound to nothing, free of gates and tried once, and gives it as it was.
  ///
  /// - Throws: when there is none of the name or file, or it is broken.
  fileprivate mutating func keep(only name: String) throws -> Script {
    let paths = [name, "\(name).lua", "triggers/\(name)"].map {
      $0.hasPrefix("triggers/") ? String($0.dropFirst(9)) : $0
    }
    guard let script = triggers.first(where: { $0.name == name || paths.contains($0.path) }) else {
      if let problem = problems.first(where: { problem in
        paths.contains { problem.description.hasPrefix("\($0):") }
      }) {
        throw ScriptTestError("the trigger does not load: \(problem)")
      }
      throw ScriptTestError(
        "no trigger is named '\(name)'" + Suggestion.clause(for: name, among: triggers.map(\.name)))
    }
    var alone = script
    alone.options.on = []
    alone.options.debounce = nil
    alone.options.throttle = nil
    alone.options.mode = nil
    alone.options.retry = nil
    alone.schedules = []
    triggers = [alone]
    return script
  }
}
