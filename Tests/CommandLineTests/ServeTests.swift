import Foundation
import Testing

/// `run --listen`.
@Suite struct ServeTests {
  private static let script = """
    return { on = { event = "visit" }, execute = function(event, ctx)
      return { ctx:store("pages"):add(event.page, 1) }
    end }
    """

  /// The README's commands, at the port that the host got.
  @Test func theCommandsOfTheReadmeWork() async throws {
    let readme = try String(
      contentsOf: URL(fileURLWithPath: #filePath + "/../../../README.md").standardized, encoding: .utf8)
    let section = try #require(readme.components(separatedBy: "\n## Over the network\n").last)
    let commands = section.components(separatedBy: "```\n")[1].split(separator: "\n")
    #expect(commands.count == 4)
    let directory = try TemporaryDirectory(["triggers/visit.lua": Self.script])
    let host = try RunningCommand(["run", directory.path, "--listen", "127.0.0.1:0"])
    let line = try await host.line(containing: "Listening on http://127.0.0.1:")
    let port = try #require(line.split(separator: ":").last)
    for command in commands {
      let ended = try await RunningCommand(
        shell: command.replacing("127.0.0.1:8080", with: "127.0.0.1:\(port)") + " -sS -m 60 -f"
      ).end()
      #expect(ended.status == 0, "\(command): \(ended)")
      let isGood = ended.output.contains(#""outcome":"committed""#) || ended.output == #"{"status":"ready"}"#
      #expect(isGood, "\(command): \(ended)")
    }
    host.signal(SIGTERM)
    let ended = try await host.end()
    #expect(ended.status == 0 && ended.errors.contains("4 seqs: 4 committed"), "\(ended)")
  }

  @Test func anAddressForOthersNeedsAWord() async throws {
    let directory = try TemporaryDirectory(["triggers/visit.lua": Self.script])
    for arguments in [["--listen", "0.0.0.0:0"], ["--listen", "8080"], ["--insecure"]] {
      let ended = try await RunningCommand(["run", directory.path] + arguments).end()
      #expect(ended.status == 2, "\(arguments): \(ended)")
    }
    try directory.write("host.yaml", "listen: 0.0.0.0:0\n")
    let ended = try await triggerHost("run", directory.path)
    #expect(ended.status == 2 && ended.errors.contains("--insecure"), "\(ended)")
  }
}
