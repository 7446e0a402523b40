import Foundation
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite

/// Bytes of a data directory that are not what was written: no command crashes or hangs, and none shows a state that
/// never was.
@Suite(.serialized) struct DamageTests {
  private static let scripts: KeyValuePairs<String, String> = [
    "triggers/count.lua": """
    return { on = { event = "n" }, execute = function(event, ctx)
      local counts = ctx:store("counts")
      if event.n % 13 == 0 then error("unlucky " .. event.n) end
      return {
        counts:put("k" .. event.n % 40, { n = event.n, text = string.rep("x", event.n % 300) }), counts:add("total", 1),
        ctx:emit("echo", { n = event.n }),
      }
    end }
    """,
    "triggers/echo.lua": """
    return { on = { event = "echo" }, execute = function(event, ctx)
      local echoes = ctx:store("echoes")
      return { echoes:add("total", 1), echoes:append("last" .. event.n % 5, event.n) }
    end }
    """,
    "host.yaml": "scripts: triggers\norder: strict\nlimits: { timeout: 1m }\nlog: { checkpoint: 1s }\n",
  ]

  /// DAMAGE_ROUNDS makes it longer: `DAMAGE_ROUNDS=500 swift test --filter DamageTests`.
  private static let rounds = ProcessInfo.processInfo.environment["DAMAGE_ROUNDS"].flatMap { Int($0) } ?? 8

  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory(Self.scripts) }

  // MARK: What is damaged

  /// Two lives, each with a checkpoint and commits after it; killed, so with a write-ahead log, and ended.
  private func makeDirectories() async throws -> [String] {
    for life in 0..<2 {
      try await live(life * 150 + 1...life * 150 + 100) { host in
        let file = try Database(path: directory("killed/log.sqlite"), creates: false, isReadOnly: true)
        try await host.look { try file.integer("SELECT count(*) FROM checkpoints") ?? 0 > life }
      }
      try await live(life * 150 + 101...life * 150 + 150) { _ in }
    }
    try FileManager.default.copyItem(atPath: directory("killed"), toPath: directory("ended"))
    let ended = try await run("ended")
    try #require(ended.status == 0, "\(ended)")
    return ["killed", "ended"]
  }

  private func live(_ numbers: ClosedRange<Int>, _ body: (RunningCommand) async throws -> Void) async throws {
    let lines = numbers.map { #"{"event": "n", "payload": {"n": \#($0)}}"# + "\n" }
    try directory.write("events.jsonl", lines.joined())
    let host = try RunningCommand(
      ["run", "--config", directory("host.yaml"), "--data", directory("killed"), "--stdin", "--serve"],
      input: directory("events.jsonl"))
    try await host.lines(numbers.count, containing: "\"results\"")
    try await body(host)
    host.signal(SIGKILL)
    _ = try await host.end()
  }

  private func run(_ data: String, _ options: [String] = []) async throws -> EndedCommand {
    try await RunningCommand(
      ["run", "--config", directory("host.yaml"), "--data", directory(data), "--exit-when-idle"] + options
    ).end()
  }

  private func damage(_ data: String, _ random: inout SplitMix64) throws -> String {
    let names = ["log.sqlite", "log.sqlite-wal"].filter {
      FileManager.default.fileExists(atPath: directory("\(data)/\($0)"))
    }
    let name = names.randomElement(using: &random)!
    let file = URL(fileURLWithPath: directory("\(data)/\(name)"))
    var bytes = [UInt8](try Data(contentsOf: file))
    guard !bytes.isEmpty else { return "\(name): empty" }
    let (place, page) = (Int.random(in: 0..<bytes.count, using: &random), 4096)
    let kind = Int.random(in: 0..<7, using: &random)
    switch kind {
    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: for index in place..<min(place + 100, bytes.count) { bytes[index] = 0 }
    case 2:
      for index in place / page * page..<min(place / page * page + page, bytes.count) { bytes[index] = 0 }
    case 3: bytes.removeLast(bytes.count - place)
    case 4: bytes.removeLast(bytes.count - place / page * page)
    case 5:
      for index in place..<min(place + 20, bytes.count) {
        bytes[index] = .random(in: 0...255, using: &random)
      }
    default: bytes[place % min(200, bytes.count)] = .random(in: 0...255, using: &random)
    }
    try Data(bytes).write(to: file)
    return "\(name), kind \(kind) at \(place)"
  }

  // MARK: What must hold

  @Test func damageIsSaidAndNothingIsMadeUp() async throws {
    let sources = try await makeDirectories()
    // Where each one ended: a host that is killed may leave operations that the next one goes on with. And one group
    // that it had written and not yet told of: whether that is there or not, nothing is missing.
    var ends: [String: ClosedRange<Int64>] = [:]
    for source in sources {
      try copy(source, to: "whole")
      let last = try LogReader(path: directory("whole")).lastSeq()
      ends[source] = (NewestFile.read(in: directory(source))?.seq ?? last)...last
    }
    let seed =
      ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) } ?? .random(in: .min ... .max)
    var random = SplitMix64(seed: seed)
    for round in 0..<Self.rounds {
      let source = sources.randomElement(using: &random)!
      try copy(source, to: "damaged")
      var place = "seed \(seed), round \(round), \(source): "
      for _ in 0..<Int.random(in: 1...2, using: &random) { place += try damage("damaged", &random) + "; " }
      let end = ends[source]!
      try await look(place, end)
      for options in [[], ["--accept-loss"]] { try await start(options, place, told: end.lowerBound) }
    }
  }

  private func copy(_ source: String, to copy: String) throws {
    try? FileManager.default.removeItem(atPath: directory(copy))
    try FileManager.default.copyItem(atPath: directory(source), toPath: directory(copy))
  }

  /// The state of a seq, from the directory that is whole.
  private func truth(_ seq: Int64) async throws -> String {
    try await RunningCommand(["replay", "--data", directory("ended"), "--to", "\(seq)", "--json"]).end()
      .output
  }

  /// Commands that read: a result, or an error that is said.
  private func look(_ place: String, _ end: ClosedRange<Int64>) async throws {
    let commands = [
      ["log", "verify"], ["log", "cat"], ["replay", "--json"], ["why", "counts", "total"], ["dead", "list"],
      ["scripts", "log"],
    ]
    var isSaid = false
    for command in commands {
      // Reading may move a write-ahead log.
      try copy("damaged", to: "read")
      let ended = try await RunningCommand(command + ["--data", directory("read")]).end()
      #expect([0, 1].contains(ended.status), "\(place) \(command): \(ended)")
      if ended.status == 1 { #expect(!ended.errors.isEmpty, "\(place) \(command): \(ended)") }
      if command[1] == "verify" { isSaid = ended.status == 1 }
      if command[0] == "replay", ended.status == 0, !isSaid {
        var isTrue = false
        for seq in end where !isTrue { isTrue = try await ended.output == truth(seq) }
        #expect(isTrue, "\(place): a state that never was, and nothing said")
      }
    }
  }

  /// A start: the state of a seq, with word of what is missing after it, or a refusal that names the file.
  private func start(_ options: [String], _ place: String, told: Int64) async throws {
    try copy("damaged", to: "started")
    let ended = try await run("started", options)
    #expect([0, 1].contains(ended.status), "\(place) \(options): \(ended)")
    guard ended.status == 0 else {
      return #expect(ended.errors.contains(directory("started")), "\(place) \(options): \(ended)")
    }
    let found = ended.errors.firstMatch(of: #/recovered up to seq (\d+)/#).flatMap { Int64($0.1) } ?? 0
    if found < told {
      #expect(ended.errors.contains("missing"), "\(place) \(options): silently shorter: \(ended)")
    }
    if found == 0 { return }
    let state = try await RunningCommand([
      "replay", "--data", directory("started"), "--to", "\(found)", "--json",
    ]).end()
    #expect(
      try await state.output == truth(found), "\(place) \(options): seq \(found) is another state: \(ended)")
  }

  /// An integer of any column is one that was never written: a start goes well, or names the file.
  @Test func anyIntegerMayBeDamaged() async throws {
    _ = try await makeDirectories()
    var columns: [(table: String, column: String)] = []
    let file = try Database(path: directory("ended/log.sqlite"), creates: false, isReadOnly: true)
    try file.run(
      """
      SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
      WHERE tables.type = 'table' AND columns.type LIKE 'INT%' ORDER BY 1, 2
      """
    ) { columns.append(($0.text(0), $0.text(1))) }
    file.close()
    let cases = columns.flatMap { place in
      [-1, Int64.max, .min, 1 << 32].map { (place.table, place.column, $0) }
    }
    try #require(cases.count > 80)
    // Where it once ended the host, and some others.
    var some = cases.filter { $0.0 == "script_trees" && $0.1 == "number" }
    some += cases.shuffled().prefix(Self.rounds)
    for (table, column, value) in some {
      try copy("ended", to: "damaged")
      let damaged = try Database(path: directory("damaged/log.sqlite"))
      try damaged.run("UPDATE OR REPLACE \(table) SET \(column) = \(value)")
      damaged.close()
      try directory.write("more.jsonl", #"{"event": "n", "payload": {"n": 1}}"# + "\n")
      let ended = try await RunningCommand(
        [
          "run", "--config", directory("host.yaml"), "--data", directory("damaged"), "--stdin",
          "--exit-when-idle",
        ], input: directory("more.jsonl")
      ).end()
      let place = "\(table).\(column) = \(value)"
      #expect([0, 1].contains(ended.status), "\(place): \(ended)")
      #expect(ended.status == 0 || ended.errors.contains(directory("damaged")), "\(place): \(ended)")
    }
  }

  /// `log verify` names every place, in text and as JSON.
  @Test func everyDamageIsNamed() async throws {
    _ = try await makeDirectories()
    let file = try Database(path: directory("ended/log.sqlite"))
    let newest = "(SELECT max(id) FROM checkpoints)"
    for damage in [
      "UPDATE chunks SET data = zeroblob(length(data)) WHERE checkpoint = \(newest) AND number = 0",
      "UPDATE contents SET bytes = CAST(bytes || ' ' AS BLOB)",
      "UPDATE blocks SET records = zeroblob(length(records)) WHERE first = (SELECT max(first) FROM blocks)",
      "INSERT INTO inbox VALUES (9, 9, 0, x'00')",
    ] { try file.run(damage) }
    file.close()
    let json = try await RunningCommand(["log", "verify", "--data", directory("ended"), "--json"]).end()
    #expect(json.status == 1, "\(json)")
    let verdict = try json.jsonObject()
    let damages = try #require(verdict["damages"] as? [[String: String]])
    for place in ["checkpoint", "content", "script tree", "the block of seqs", "the accepted event 9-9"] {
      #expect(damages.contains { $0["place"]?.contains(place) == true }, "\(place): \(json)")
    }
    let text = try await RunningCommand(["log", "verify", "--data", directory("ended")]).end()
    #expect(text.status == 1 && text.errorLines.count == damages.count, "\(text)")
  }

  /// What a start says of a damaged checkpoint, and that it is over then.
  @Test func aDamagedCheckpointIsSaid() async throws {
    _ = try await makeDirectories()
    let file = try Database(path: directory("ended/log.sqlite"))
    try file.run(
      "UPDATE chunks SET data = zeroblob(length(data)) WHERE checkpoint = (SELECT max(id) FROM checkpoints)")
    file.close()
    let start = try RunningCommand(["run", "--config", directory("host.yaml"), "--data", directory("ended")])
    let said = try await start.line(containing: "is damaged: part 0: its checksum does not fit")
    #expect(said.contains("checkpoint "), "\(said)")
    try await start.line(containing: "Nothing is lost: the host goes on from the one before it")
    let reader = try LogReader(path: directory("ended"))
    try await start.look { try reader.checkpoints().first.map { (try? reader.check($0)) != nil } ?? false }
    start.signal(SIGTERM)
    _ = try await start.end()
    let verified = try await RunningCommand(["log", "verify", "--data", directory("ended")]).end()
    #expect(verified.status == 0, "\(verified)")
  }
}
