import Foundation
import Testing

/// The commands of the page HTTP, as printed, give the answers that are printed there.
@Suite(.timeLimit(.minutes(10))) struct HTTPPageTests {
  private static let scripts: KeyValuePairs = [
    "triggers/visit.lua": """
    return { on = { event = "visit" }, execute = function(event, ctx)
      return { ctx:store("pages"):add(event.page, 1) }
    end }
    """,
    "triggers/rsi.lua": """
    return { on = { event = "rsi" }, execute = function(event, ctx)
      if not ctx:store("market"):get("open") then error("closed") end
      return {}
    end }
    """,
    "triggers/open.lua": """
    return { on = { event = "open" }, execute = function(event, ctx) return { ctx:store("market"):put("open", true) } end }
    """,
    "host.yaml": "data: data\nscripts: triggers\nworkers: 1\norder: strict\nlimits: { timeout: 1m }\n",
  ]

  /// A command, which may go over several lines, and what is printed below it.
  private struct Example {
    var command: String
    var answers: [String] = []
  }

  private static func examples() throws -> [Example] {
    let page = try String(
      contentsOf: URL(
        fileURLWithPath: #filePath + "/../../../Sources/TriggerHost/Documentation.docc/HTTP.md"
      ).standardized, encoding: .utf8)
    var examples: [Example] = []
    for (index, block) in page.components(separatedBy: "\n```").enumerated() where index % 2 == 1 {
      for line in block.split(separator: "\n").map(String.init) {
        if line.hasPrefix("curl ") || line.hasPrefix("printf ") {
          examples.append(Example(command: line))
        } else if let last = examples.last, last.command.hasSuffix("|") {
          examples[examples.count - 1].command += " " + line
        } else if !examples.isEmpty, !line.hasPrefix("json"), block.contains("curl") {
          examples[examples.count - 1].answers.append(line)
        }
      }
    }
    return examples
  }

  @Test func whatThePagePrintsIsSo() async throws {
    let directory = try TemporaryDirectory(Self.scripts)
    let host = try RunningCommand(["run", directory.path, "--listen", "127.0.0.1:0"], in: directory.path)
    let line = try await host.line(containing: "Listening on http://127.0.0.1:")
    let port = try #require(line.split(separator: ":").last)
    func run(_ command: String) async throws -> EndedCommand {
      try await RunningCommand(
        shell: command.replacing("127.0.0.1:8080", with: "127.0.0.1:\(port)").replacing(
          "curl ", with: "curl -sS ")
      ).end()
    }
    let examples = try Self.examples()
    #expect(examples.count == 9)
    for example in examples {
      if example.command.contains("/dead/17/") {
        // Seqs 4 to 16, then what fails, and what mends it.
        let events = Array(repeating: "visit", count: 13) + ["rsi", "rsi", "visit", "visit", "rsi", "open"]
        for event in events {
          let sent = try await run(
            #"curl --json '{"page": "home"}' http://127.0.0.1:8080/v1/events/\#(event)"#)
          #expect(sent.output.contains("event_id") || sent.output.contains("results"), "\(sent)")
        }
      }
      // A stream has no end: what is there at once is enough.
      let isStream = example.command.contains("event-stream")
      let ended = try await run(isStream ? example.command + " -m 1" : example.command)
      #expect(ended.status == (isStream ? 28 : 0), "\(example.command): \(ended)")
      if isStream {
        #expect(ended.output.hasPrefix(": 3\n"), "\(ended)")
      } else if example.answers.isEmpty {
        #expect(ended.lines.allSatisfy { $0.hasPrefix("{") } && !ended.lines.isEmpty, "\(ended)")
      } else {
        #expect(ended.lines.sorted() == example.answers.sorted(), "\(example.command)")
      }
    }
    host.signal(SIGTERM)
    let ended = try await host.end()
    #expect(ended.status == 0, "\(ended)")
  }
}
