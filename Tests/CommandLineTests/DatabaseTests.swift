import Foundation
import Testing
import TriggerCore

import TriggerSQLite

/// Database stores as their users meet them: declared in host.yaml, read with plain SQL, killed with the host.
@Suite(.serialized) struct DatabaseTests {
  private static let files: KeyValuePairs<String, String> = [
    "host.yaml": """
    scripts: triggers
    stores:
      counts:
        backend: database
        table: tallies
        columns: { n: integer, group: text }
        indexes: [group]
        migrations:
          - CREATE VIEW groups AS SELECT "group", count(*) AS size, sum(n) AS total FROM tallies GROUP BY "group"
    """,
    "triggers/count.lua": """
    return { on = { event = "n" }, timeout = "1m", execute = function(event, ctx)
      local store = ctx:store("counts")
      local key = "k" .. event.n % 500
      local was = store:get(key) or { n = 0 }
      if event.n % 11 == 0 then return { store:delete(key), store:add("total", 1) } end
      return {
        store:put(key, { n = was.n + event.n, group = "g" .. event.n % 7, last = event.n }),
        store:add("total", 1),
      }
    end }
    """,
  ]

  private static func events(_ numbers: Range<Int>) -> String {
    numbers.map { #"{"event": "n", "id": \#($0), "payload": {"n": \#($0)}}"# }.joined(separator: "\n") + "\n"
  }

  /// What a client without any knowledge of ours reads.
  private struct Rows: Equatable {
    var applied: Int64 = 0
    var values: Value.Map = [:]
    var versions: [String: Int64] = [:]

    init(_ file: String) throws {
      let db = try Database(path: file, creates: false)
      try db.run("BEGIN")
      applied = try db.integer("SELECT applied FROM trigger_host") ?? -1
      try db.run(#"SELECT "key", version, n, "group", value FROM tallies"#) { row in
        versions[row.text(0)] = row.int(1)
        let rest = row.cell(4) == .null ? Value.map([:]) : try JSON.parse(row.text(4))
        guard case .map(var fields) = rest else { return values[row.text(0)] = rest }
        if row.cell(2) != .null { fields["n"] = .int(row.int(2)) }
        if row.cell(3) != .null { fields["group"] = .string(row.text(3)) }
        values[row.text(0)] = .map(fields)
      }
      try db.run("COMMIT")
    }
  }

  private func state(_ data: String, at seq: Int64? = nil) async throws -> Value.Map {
    let to = seq.map { ["--to", "\($0)"] } ?? []
    let ended = try await RunningCommand(["replay", "--data", data, "--json"] + to).end()
    guard case .map(let stores) = try JSON.parse(ended.output) else { return [:] }
    guard case .map(let content)? = stores["counts"] else { return [:] }
    return content
  }

  /// The seq that wrote each key last, as the log tells it.
  private func versions(_ data: String) async throws -> [String: Int64] {
    let ended = try await triggerHost("log", "export", "--data", data, "--outcome", "committed")
    var versions: [String: Int64] = [:]
    for line in ended.lines {
      guard case .map(let record) = try JSON.parse(line), case .int(let seq)? = record["seq"],
        case .array(let intents)? = record["intents"]
      else { continue }
      for case .map(let intent) in intents {
        guard case .string(let key)? = intent["key"] else { continue }
        versions[key] = intent["kind"] == "delete" ? nil : seq
      }
    }
    return versions
  }

  /// Killed at any moment: the table is the store at the seq it tells, that seq is in the log, and after the next
  /// run it is the store as it is then, each row with the seq that wrote it.
  @Test func killedAtAnyMoment() async throws {
    let directory = try TemporaryDirectory(Self.files)
    let (data, file) = (directory("data"), directory("data/stores/counts.sqlite"))
    let arguments = ["run", "--config", directory("host.yaml"), "--data", data]
    let seed = UInt64.random(in: .min ... .max)
    var random = SplitMix64(seed: seed)
    for round in 0..<CrashTests.rounds / 2 {
      let input = directory("events.jsonl")
      try directory.write("events.jsonl", Self.events(round * 2000 + 1..<round * 2000 + 2001))
      let host = try RunningCommand(arguments + ["--stdin", "--serve"], input: input)
      // Once so many that there is something to compare.
      _ = await host.lines(Int.random(in: (round == 0 ? 700 : 0)...1500, using: &random))
      host.signal(SIGKILL)
      let ended = try await host.end()
      #expect(!ended.errors.contains("rror"), "round \(round), seed \(seed): \(ended.errors.prefix(500))")
      // Killed before it was made.
      guard let rows = try? Rows(file) else { continue }
      let expected = rows.applied == 0 ? [:] : try await state(data, at: rows.applied)
      #expect(rows.values == expected, "round \(round), seed \(seed), seq \(rows.applied)")
    }
    let last = try await RunningCommand(arguments + ["--exit-when-idle", "--quiet"]).end()
    #expect(last.status == 0 && last.errors == "", "seed \(seed): \(last)")
    let rows = try Rows(file)
    #expect(rows.values == (try await state(data)), "seed \(seed)")
    #expect(rows.versions == (try await versions(data)), "seed \(seed)")
    #expect(rows.values.count > 300, "seed \(seed)")
    let verified = try await triggerHost("replay", "--data", data, "--verify")
    #expect(verified.status == 0, "\(verified)")
    let again = try await RunningCommand(arguments + ["--exit-when-idle"]).end()
    #expect(!again.errors.contains("brought"), "\(again)")
    #expect(try Rows(file) == rows)
    let db = try Database(path: file)
    #expect(
      try db.integer("SELECT sum(size) FROM groups WHERE \"group\" IS NOT NULL")
        == Int64(rows.values.count - 1))
  }

  /// A client reads, is refused a write, and holds the lock for the rest of the host's life.
  @Test func anotherProgramMeanwhile() async throws {
    let directory = try TemporaryDirectory(Self.files)
    // So that fifty events are fifty seqs.
    try directory.edit("host.yaml") { "order: strict\n" + $0 }
    let (data, file) = (directory("data"), directory("data/stores/counts.sqlite"))
    let run = ["run", "--config", directory("host.yaml"), "--data", data]
    try directory.write("events.jsonl", Self.events(1..<51))
    var host = try RunningCommand(run + ["--stdin", "--serve"], input: directory("events.jsonl"))
    try await host.line(containing: "Serving")
    let client = try Database(path: file, creates: false)
    try await host.look { try client.integer("SELECT applied FROM trigger_host") ?? 0 >= 50 }
    #expect(try client.integer("SELECT count(*) FROM tallies") == 47)
    let refused = #expect(throws: StorageError.self) { try client.run("UPDATE tallies SET n = 0") }
    #expect(refused?.description.contains("the table tallies is kept by trigger-host") == true)
    try client.run("BEGIN IMMEDIATE")
    host.signal(SIGTERM)
    #expect(try await host.end().status == 0)
    try directory.write("events.jsonl", Self.events(51..<101))
    host = try RunningCommand(run + ["--stdin", "--exit-when-idle"], input: directory("events.jsonl"))
    let ended = try await host.end()
    #expect(ended.status == 0)
    #expect(ended.errors.contains("; its table is behind: locked by another program"), "\(ended)")
    #expect(ended.errors.contains("cannot be written: locked by another program"), "\(ended)")
    // Said once: in the end, or after a second of a host that needs more.
    let isSaid = ["The next start catches up", "Commits go on"].contains {
      ended.errors.contains("\($0); the table is behind since seq 50.")
    }
    #expect(isSaid, "\(ended)")
    try client.run("COMMIT")
    let last = try await RunningCommand(run + ["--exit-when-idle"]).end()
    #expect(last.errors.contains("rows up to seq 100"), "\(last)")
    #expect(try Rows(file).values == (try await state(data)))
  }

  @Test func inMemoryItIsRefused() async throws {
    let directory = try TemporaryDirectory(Self.files)
    let ended = try await triggerHost("run", "--config", directory("host.yaml"), "--exit-when-idle")
    #expect(ended.status == 1)
    #expect(
      ended.errorLines.joined(separator: "\n")
        == "\(directory("host.yaml")):3: store 'counts': its table follows the log, and in memory there is none: run with --data DIR, or say `data` here"
    )
    let exec = try await triggerHost(
      "exec", directory("triggers/count.lua"), "--event", #"{"n": 1}"#, in: directory.path)
    #expect(exec.status == 0, "\(exec)")
  }

  @Test func mistakesHaveTheirLine() async throws {
    let directory = try TemporaryDirectory(Self.files)
    let config = directory("host.yaml")
    let good = try await triggerHost("check", directory.path)
    #expect(good.status == 0, "\(good)")
    let run = ["run", "--config", config, "--data", directory("data"), "--exit-when-idle"]
    #expect(try await RunningCommand(run).end().status == 0)
    try directory.edit("host.yaml") { $0 + "\n      - SELECT * FROM nowhere" }
    let checked = try await triggerHost("check", directory.path)
    #expect(checked.status == 1)
    #expect(
      checked.output.contains("\(config):10: store 'counts': migration 2: no such table: nowhere"),
      "\(checked)")
    let ran = try await RunningCommand(run).end()
    #expect(ran.status == 1)
    let file = directory("data/stores/counts.sqlite")
    #expect(
      ran.errorLines == ["\(config):10: store 'counts': \(file): migration 2: no such table: nowhere"])
    try directory.edit("host.yaml") {
      $0.replacingOccurrences(of: "sum(n)", with: "max(n)").replacingOccurrences(
        of: "nowhere", with: "groups")
    }
    let changed = try await RunningCommand(run).end()
    #expect(changed.status == 1)
    #expect(
      changed.errors.contains(
        "\(config):9: store 'counts': \(file): migration 1 has been run on it and was changed"),
      "\(changed)")
  }
}
