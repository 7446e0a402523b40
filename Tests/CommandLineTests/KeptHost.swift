import Foundation
import Testing

/// A directory with scripts and what a host that ran them has kept: `triggers` and `data`.
struct KeptHost {
  let directory: TemporaryDirectory
  var data: String { directory("data") }
  var triggers: String { directory("triggers") }

  /// Lets a host take the events, one JSON line each, until nothing is left to do.
  init(_ scripts: [String: String], events: [String], options: [String] = []) async throws {
    directory = try TemporaryDirectory()
    for (name, text) in scripts { try directory.write("triggers/\(name)", text) }
    try await run(events, options)
  }

  func run(_ events: [String], _ options: [String] = []) async throws {
    try directory.write("events.jsonl", events.map { $0 + "\n" }.joined())
    // So that seqs are as they come: on a busy machine something may be put off, or held up for seconds.
    try directory.write("kept.yaml", "order: strict\nlimits: { timeout: 1m }\n")
    let host = try RunningCommand(
      [
        "run", "--config", directory("kept.yaml"), "--scripts", triggers, "--data", data, "--stdin",
        "--exit-when-idle",
      ] + options, input: directory("events.jsonl"))
    let ended = try await host.end()
    try #require(ended.status == 0, "\(ended)")
  }

  /// Runs a command on the data directory.
  func callAsFunction(_ arguments: String..., in place: String? = nil) async throws -> EndedCommand {
    try await RunningCommand(arguments + ["--data", data], in: place ?? directory.path).end()
  }

  /// A till: sales are summed up by item, large ones are reported, a report may be too large.
  static func till() async throws -> KeptHost {
    try await KeptHost(
      tillScripts,
      events: [("tea", 3), ("cake", 40), ("tea", 5), ("piano", 9000), ("cake", 50)].enumerated().map {
        #"{"event": "sale", "payload": {"item": "\#($1.0)", "price": \#($1.1)}, "source": "s", "id": \#($0)}"#
      }, options: ["--workers", "1"])
  }

  static let tillScripts = [
    "sale.lua": """
    local large = require "lib.large"
    return {
      on = { event = "sale" },
      execute = function(event, ctx)
        local sums = ctx:store("sums")
        local sum = (sums:get(event.item) or 0) + event.price
        local intents = { sums:put(event.item, sum), sums:add("count", 1) }
        if event.price > large then
          intents[#intents + 1] = ctx:emit("large", { item = event.item, price = event.price })
        end
        return intents
      end,
    }
    """,
    "report.lua": """
    return {
      on = { event = "large" },
      execute = function(event, ctx)
        if event.price > 1000 then error("too large: " .. event.item) end
        ctx:log("info", "large", { item = event.item })
        return { ctx:store("reports"):put(event.item, { price = event.price, dice = math.random(1000), seq = ctx.seq }) }
      end,
    }
    """,
    "lib/large.lua": "return 30\n",
  ]
}

extension EndedCommand {
  /// Standard output as JSON Lines.
  func jsonLines() throws -> [[String: Any]] {
    try lines.map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
  }
}
