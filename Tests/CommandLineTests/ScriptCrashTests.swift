import Foundation
import Testing
import TriggerCore
import TriggerHost
import TriggerSQLite

/// A scripts directory in which much happens, under a host that is killed at any moment: the script trees that
/// were said to be in force are in the log, each operation ran with one of them, the one of its seq, and a host that
/// comes after has what the directory has.
@Suite(.serialized) struct ScriptCrashTests {
  /// The directory, and what is done to it. Every text begins with the number of the edit that wrote it.
  private struct Workshop {
    static let paths = ["n.lua", "tick.lua", "lib/one.lua", "lib/two/init.lua"]
    let directory: TemporaryDirectory
    var random: SplitMix64
    private var edits = 0

    init(seed: UInt64) throws {
      random = SplitMix64(seed: seed)
      directory = try TemporaryDirectory()
      for path in Self.paths { try directory.write("triggers/\(path)", text(path)) }
    }

    mutating func below(_ end: Int) -> Int { Int.random(in: 0..<end, using: &random) }

    private mutating func text(_ path: String) -> String {
      edits += 1
      if path.hasPrefix("lib/") { return "-- \(edits)\nreturn \(edits)\n" }
      let binding = path == "n.lua" ? #"event = "n""# : #"every = "5ms""#
      return """
        -- \(edits)
        local one = require "lib.one"
        return { on = { \(binding) }, timeout = "1m", execute = function(event, ctx)
          local saw = { own = \(edits), one = one, two = require("lib.two") }
          return { ctx:store(ctx.trigger):put(event.n and "k" .. event.n or "newest", saw) }
        end }
        """
    }

    /// What an operation of the trigger sees of a tree's files.
    static func seen(_ files: [String: [UInt8]], by trigger: String) throws -> Value {
      func edit(_ path: String) throws -> Value {
        let line = String(decoding: try #require(files[path]), as: UTF8.self).prefix { $0 != "\n" }
        // Truncated and not yet written when a host began: a module that gives nothing.
        if line.isEmpty { return true }
        return .int(try #require(Int64(line.dropFirst(3))))
      }
      return [
        "own": try edit("\(trigger).lua"), "one": try edit("lib/one.lua"),
        "two": try edit("lib/two/init.lua"),
      ]
    }

    /// A burst of saves as editors do them; whether the directory is good then.
    mutating func save() throws -> Bool {
      for _ in 0...below(3) {
        let path = "triggers/\(Self.paths[below(Self.paths.count)])"
        let text = text(String(path.dropFirst("triggers/".count)))
        if below(2) == 0 {
          try directory.write(path, text)
        } else {
          try directory.write("\(path).tmp~", text)
          #expect(rename(directory("\(path).tmp~"), directory(path)) == 0)
        }
      }
      let isBroken = below(4) == 0
      if isBroken {
        edits += 1
        try directory.write("triggers/broken.lua", "-- \(edits)\nreturn {\n")
      } else {
        try mend()
      }
      return !isBroken
    }

    func mend() throws { try? FileManager.default.removeItem(atPath: directory("triggers/broken.lua")) }

    /// Every file there is.
    func files() throws -> [String: [UInt8]] {
      var files: [String: [UInt8]] = [:]
      for path in Self.paths { files[path] = Array(try directory.read("triggers/\(path)").utf8) }
      return files
    }
  }

  /// What hosts have said.
  private struct Said {
    /// Acknowledged events.
    var events: Set<Int64> = []
    /// Trees in force, and from which seq.
    var trees: [Int: Int64] = [:]

    mutating func take(_ ended: EndedCommand) {
      for line in ended.errorLines + ended.lines {
        if let words = try? /scripts: tree (\d+) in force from seq (\d+):.*/.wholeMatch(in: line) {
          trees[Int(words.1)!] = Int64(words.2)!
        } else if line.hasPrefix("{"), case .map(let fields)? = try? JSON.parse(line),
          case .int(let id)? = fields["id"]
        {
          events.insert(id)
        }
      }
    }
  }

  /// SCRIPT_CRASH_ROUNDS makes it longer: `SCRIPT_CRASH_ROUNDS=100 swift test --filter ScriptCrashTests`.
  private static let rounds =
    ProcessInfo.processInfo.environment["SCRIPT_CRASH_ROUNDS"].flatMap { Int($0) } ?? 5

  @Test func killedWhileScriptsChange() async throws {
    let seed = ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) } ?? .random(in: 0 ... .max)
    var workshop = try Workshop(seed: seed)
    let directory = workshop.directory
    let places = ["--scripts", directory("triggers"), "--data", directory("data")]
    var (said, next) = (Said(), 1)
    for round in 0..<Self.rounds {
      let events = (next..<next + 300).map { #"{"event": "n", "id": \#($0), "payload": {"n": \#($0)}}"# }
      next += 300
      try directory.write("events.jsonl", events.joined(separator: "\n") + "\n")
      let host = try RunningCommand(["run", "--stdin", "--serve"] + places, input: directory("events.jsonl"))
      // Sometimes it is killed before it serves, or saves come while it starts, which nobody talks about.
      let isServing = workshop.below(4) > 0
      if isServing { try await host.lines(1, containing: "Serving") }
      for _ in 0..<workshop.below(5) {
        if workshop.below(4) == 0, let tree = said.trees.keys.randomElement(using: &workshop.random) {
          _ = try await RunningCommand(["scripts", "rollback", "--force", "--to", "tree:\(tree)"] + places)
            .end()
        } else {
          let count = try await host.lines(0, containing: "scripts: ").count
          _ = try workshop.save()
          if isServing, workshop.below(2) == 0 { try await host.lines(count + 1, containing: "scripts: ") }
        }
      }
      // However early the others were killed: one has acknowledged something.
      if round == Self.rounds - 1, said.events.isEmpty { try await host.line(containing: #""outcome""#) }
      host.signal(SIGKILL)
      let ended = try await host.end()
      said.take(ended)
      #expect(!ended.errors.contains("Fatal"), "round \(round), seed \(seed): \(ended.errors.prefix(500))")
    }
    try workshop.mend()
    let last = try await RunningCommand(["run", "--exit-when-idle"] + places).end()
    #expect(last.status == 0, "seed \(seed): \(last.errors)")
    try check(said, workshop, seed)
    let verified = try await triggerHost("replay", "--data", directory("data"), "--verify")
    #expect(verified.status == 0, "seed \(seed): \(verified)")
  }

  private func check(_ said: Said, _ workshop: Workshop, _ seed: UInt64) throws {
    let reader = try LogReader(path: workshop.directory("data"))
    let trees = try reader.scriptTrees()
    // One that was kept when the host was killed, before it came into force, is in no record.
    let used = trees.filter { $0.seq != nil }
    for (number, seq) in said.trees {
      #expect(used.first { $0.identity.number == number }?.seq == seq, "seed \(seed): \(number)")
    }
    #expect(used.map { $0.seq! } == used.map { $0.seq! }.sorted(), "seed \(seed)")
    // The host that came last began with what the directory has.
    let newest = try #require(trees.last)
    #expect(newest.seq != nil, "seed \(seed)")
    #expect(try reader.tree(newest.identity.number)?.files == workshop.files(), "seed \(seed)")
    var seen: Value.Map = [:]
    var events: Set<Int64> = []
    try reader.visit { record in
      guard record.outcome == .committed else { return }
      let event = try record.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
      if record.trigger == "scripts" {
        let isUsed = used.contains { event["tree"] == .int(Int64($0.identity.number)) }
        return #expect(isUsed, "seed \(seed), seq \(record.seq): \(event)")
      }
      let tree = used.last { $0.seq! <= record.identity }!.identity.number
      let place = "seed \(seed), seq \(record.seq), identity \(record.identity)"
      #expect(record.tree == tree, "\(place)")
      let name = "\(record.trigger) \(record.tree)"
      if seen[name] == nil {
        seen[name] = try Workshop.seen(try reader.tree(record.tree)!.files, by: record.trigger)
      }
      let value = try record.intents.first?.value.withUnsafeBytes { try CanonicalEncoding.decode($0) }
      #expect(value == seen[name], "\(place)")
      if case .int(let n)? = event["n"] { events.insert(n) }
    }
    #expect(!said.events.isEmpty && said.events.isSubset(of: events), "seed \(seed)")
  }
}
