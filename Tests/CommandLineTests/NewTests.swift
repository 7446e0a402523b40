import Foundation
import Testing

/// `new` makes a project that is in order and runs.
@Suite struct NewTests {
  @Test func theStarterIsInOrderAndFires() async throws {
    let directory = try TemporaryDirectory()
    let made = try await triggerHost("new", "mine", in: directory.path)
    #expect(made.status == 0)
    #expect(made.lines == ["Made mine. Next:", "  trigger-host run mine"])

    let checked = try await triggerHost("check", "mine", in: directory.path)
    #expect(checked.status == 0)
    #expect(checked.lines == ["1 trigger found, everything is in order."])
    #expect(checked.errors == "")

    let tested = try await triggerHost("test", "mine", in: directory.path)
    #expect(tested.status == 0, "\(tested)")
    #expect(tested.lines.last?.hasPrefix("2 passed, 0 failed") == true)

    try directory.edit("mine/cron.yaml") { $0.replacing("every: 5s", with: "every: 50ms") }
    // As its README says: in the directory, without options.
    let here = try await triggerHost("check", in: directory("mine"))
    #expect(here.status == 0)
    let host = try RunningCommand(["run", "mine"], in: directory.path)
    try await host.line(containing: "hello again, world (2)")
    host.signal(SIGINT)
    #expect(try await host.end().status == 0)
    let bare = try RunningCommand(["run", "--memory"], in: directory("mine"))
    try await bare.line(containing: "hello, world")
    bare.signal(SIGINT)
    #expect(try await bare.end().status == 0)
  }

  /// As the README says: its first trigger in the new project, an event from a pipe.
  @Test func theFirstTriggerOfTheReadmeRuns() async throws {
    let readme = try String(
      contentsOf: URL(fileURLWithPath: #filePath + "/../../../README.md").standardized, encoding: .utf8)
    let script = try #require(readme.firstMatch(of: #/```lua\n-- triggers/counter\.lua\n((?s).*?)```/#)).1
    let line = try #require(
      readme.firstMatch(of: #/\n(echo .* \| )trigger-host( run mine --stdin)\n/#), "the line of the README")
    let directory = try TemporaryDirectory()
    #expect(try await triggerHost("new", "mine", in: directory.path).status == 0)
    try directory.write("mine/triggers/counter.lua", String(script))
    let checked = try await triggerHost("check", "mine", in: directory.path)
    #expect(checked.lines == ["2 triggers found, everything is in order."], "\(checked)")
    let ended = try await RunningCommand(shell: "\(line.1)\"$host\"\(line.2)", in: directory.path).end()
    #expect(ended.status == 0, "\(ended)")
    #expect(ended.output.contains(#""outcome":"committed""#) && ended.lines.count == 1, "\(ended)")
    #expect(ended.errorLines.contains("  home = {\"count\":1}"), "\(ended)")
  }

  @Test func anEmptyDirectoryWillDo() async throws {
    let directory = try TemporaryDirectory()
    #expect(try await triggerHost("new", directory.path).status == 0)
    #expect(try directory.read("host.yaml").contains("scripts: triggers"))
  }

  @Test func whatIsThereIsNotTouched() async throws {
    let directory = try TemporaryDirectory(["mine/host.yaml": "mine\n"])
    let full = try await triggerHost("new", "mine", in: directory.path)
    #expect(full.status == 2)
    #expect(full.errorLines.first == "Error: mine is not empty; give a new directory.")
    #expect(try directory.read("mine/host.yaml") == "mine\n")

    let file = try await triggerHost("new", "mine/host.yaml", in: directory.path)
    #expect(file.status == 2)
    #expect(file.errorLines.first == "Error: mine/host.yaml is a file; give a new directory.")

    let below = try await triggerHost("new", "mine/host.yaml/x", in: directory.path)
    #expect(below.status == 1)
    #expect(below.errorLines == ["mine/host.yaml/x: cannot be made: not a directory"])

    let nameless = try await triggerHost("new", "", in: directory.path)
    #expect(nameless.status == 2)
    #expect(nameless.errorLines.first == "Error: Name the directory to make; . is this one.")
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["mine"])
  }
}
