import Foundation
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// `trigger-host test`: reports for people, programs and build servers, and what it ends with.
@Suite struct TestCommandTests {
  private static let counter = """
    return {
      on = { event = "visit" },
      execute = function(event, ctx) return { ctx:store("visits"):add(event.page, 1) } end,
    }
    """
  private static let good = """
    describe("counter", function()
      it("counts", function() expect(run("counter", { page = "a" }).stores.visits):equals { a = 1 } end)
      pending("forgets")
    end)
    """
  private static let bad = """
    it("says <what> & where", function()
      print("looking")
      expect({ { a = 1 } }):equals { { a = 2 } }
    end)
    it("raises", function() error("no bread") end)
    """

  private func project(_ more: KeyValuePairs<String, String> = [:]) throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory([
      "triggers/counter.lua": Self.counter, "triggers/counter_test.lua": Self.good,
      "host.yaml": "stores: { visits: {} }\n",
    ])
    for (name, text) in more { try directory.write(name, text) }
    return directory
  }

  @Test func goodTestsEndWithZero() async throws {
    let directory = try project()
    let ended = try await triggerHost("test", in: directory.path)
    #expect(ended.status == 0)
    #expect(ended.lines[0].hasPrefix("✓ triggers/counter_test.lua  2 tests, "))
    #expect(ended.lines.last?.hasPrefix("1 passed, 0 failed, 1 pending (") == true)
    #expect(ended.errors == "" && !ended.output.contains("\u{1b}"))
    let all = try await triggerHost("test", directory.path, "--verbose")
    #expect(all.lines[1].hasPrefix("  ✓ counter › counts  "))
    #expect(all.lines[2].hasPrefix("  · counter › forgets  "))
  }

  @Test func failuresEndWithOneAndSayWhere() async throws {
    let directory = try project(["triggers/lib/bad_test.lua": Self.bad])
    let ended = try await triggerHost("test", in: directory.path)
    #expect(ended.status == 1)
    let report = ended.lines.drop { !$0.hasPrefix("✗ says") }
    #expect(
      report.starts(with: [
        "✗ says <what> & where", "  triggers/lib/bad_test.lua:3: equals: differs at [1].a", "    expected 2",
        "    got      1", "    all of it", "    expected { { a = 2 } }", "    got      { { a = 1 } }",
        "  | looking",
        "✗ raises", "  triggers/lib/bad_test.lua:5: no bread",
      ]), "\(ended)")
    #expect(ended.lines.last?.hasPrefix("1 passed, 2 failed, 1 pending (") == true)
  }

  @Test func colourIsForTerminals() async throws {
    let directory = try project(["triggers/bad_test.lua": Self.bad])
    for (isOn, environment) in [
      (true, ["TERM": "xterm", "NO_COLOR": ""]), (false, ["TERM": "xterm", "NO_COLOR": "1"]),
    ] {
      let command = try RunningCommand(
        ["test"], in: directory.path, output: .terminal, environment: environment)
      let ended = try await command.end()
      #expect(ended.status == 1)
      #expect(ended.output.contains("\u{1b}[31m2 failed\u{1b}[0m") == isOn, "\(ended)")
    }
  }

  @Test func aFilterChooses() async throws {
    let directory = try project(["triggers/bad_test.lua": Self.bad])
    let counts = try await triggerHost("test", "--filter", "COUNTS", in: directory.path)
    #expect(counts.status == 0 && counts.lines.count == 2, "\(counts)")
    let none = try await triggerHost("test", "--filter", "nothing like it", in: directory.path)
    #expect(none.status == 1)
    #expect(none.lines == ["No test in triggers has 'nothing like it' in its name or its file's."])
  }

  @Test func aReportThatCannotBeWrittenIsSaid() async throws {
    let directory = try project([:])
    let ended = try await triggerHost("test", "--junit", "nowhere/x.xml", in: directory.path)
    #expect(ended.status == 1)
    #expect(ended.errorLines == ["nowhere/x.xml: No such file or directory"], "\(ended)")
  }

  @Test func programsGetJSON() async throws {
    let directory = try project(["triggers/bad_test.lua": Self.bad])
    let report = try await triggerHost("test", "--json", in: directory.path).jsonObject()
    #expect(report["good"] as? Bool == false)
    #expect(report["passed"] as? Int == 1 && report["failed"] as? Int == 2 && report["pending"] as? Int == 1)
    let files = try #require(report["files"] as? [[String: Any]])
    #expect(files.map { $0["path"] as? String } == ["triggers/bad_test.lua", "triggers/counter_test.lua"])
    let test = try #require((files[0]["tests"] as? [[String: Any]])?.first)
    #expect(test["place"] as? String == "triggers/bad_test.lua:1")
    let failure = try #require((test["failures"] as? [[String: Any]])?.first)
    #expect(failure["path"] as? String == "[1].a" && failure["expected"] as? String == "2")
  }

  @Test func buildServersGetJUnit() async throws {
    let directory = try project([
      "triggers/bad_test.lua": Self.bad, "triggers/worse_test.lua": "it('x'\n",
    ])
    let ended = try await triggerHost("test", "--junit", "report.xml", in: directory.path)
    #expect(ended.status == 1)
    let reader = JUnitReader()
    let parser = XMLParser(data: Data(try directory.read("report.xml").utf8))
    parser.delegate = reader
    #expect(parser.parse(), "\(String(describing: parser.parserError))")
    #expect(reader.totals == ["tests": "5", "failures": "2", "errors": "1", "skipped": "1"])
    #expect(reader.cases == ["says <what> & where", "raises", "counts", "forgets", "(the file)"])
    #expect(
      reader.failures == [
        "triggers/bad_test.lua:3: equals: differs at [1].a", "triggers/bad_test.lua:5: no bread",
        "triggers/worse_test.lua:2: ')' expected (to close '(' at line 1) near <eof>",
      ])
  }

  @Test func brokenFilesAreSaid() async throws {
    let directory = try project(["triggers/worse_test.lua": "it('x'\n", "triggers/broken.lua": "return {"])
    let ended = try await triggerHost("test", in: directory.path)
    #expect(ended.status == 1)
    #expect(ended.errorLines == ["triggers/broken.lua:1: unexpected symbol near <eof>"])
    #expect(
      ended.lines.contains("  triggers/worse_test.lua:2: ')' expected (to close '(' at line 1) near <eof>"))
    #expect(ended.lines.last?.contains("1 file could not be run, 1 file with mistakes (") == true)
    let usage = try await triggerHost("test", "--timeout", "soon", in: directory.path)
    #expect(usage.status == 2)
  }

  /// Who reads only the report sees them, too.
  @Test func brokenTriggersAreInTheReports() async throws {
    let broken =
      "return {\n  on = { cron = \"61 * * * *\" },\n  priorty = 1,\n  execute = function() end,\n}\n"
    let directory = try project(["triggers/broken.lua": broken])
    let ended = try await triggerHost("test", "--json", "--junit", "report.xml", in: directory.path)
    #expect(ended.status == 1)
    let said = [
      "triggers/broken.lua:2: on.cron '61 * * * *': column 1: minute 61 is out of range 0-59",
      "triggers/broken.lua:3: unknown field 'priorty'; did you mean 'priority'?",
    ]
    let json = try ended.jsonObject()
    #expect(json["good"] as? Bool == false && json["passed"] as? Int == 1)
    let problems = try #require(json["problems"] as? [[String: Any]])
    #expect(problems.map { $0["message"] as? String } == said)
    #expect(problems.map { $0["file"] as? String } == said.map { _ in "triggers/broken.lua" })
    #expect(problems.map { $0["line"] as? Int } == [2, 3])
    let reader = JUnitReader()
    let parser = XMLParser(data: Data(try directory.read("report.xml").utf8))
    parser.delegate = reader
    #expect(parser.parse(), "\(String(describing: parser.parserError))")
    #expect(reader.totals == ["tests": "3", "failures": "0", "errors": "1", "skipped": "1"])
    #expect(reader.cases == ["(the file)", "counts", "forgets"])
    #expect(reader.failures == [said[0]] && reader.texts == [said.joined(separator: "\n")])
  }

  /// One test that does not end costs its own time only, and reports have it.
  @Test func whatDoesNotEndIsInTheReports() async throws {
    let directory = try project([
      "triggers/typed.lua":
        "return { on = { event = 'key' }, debounce = '5s', execute = function() end }",
      "triggers/spin.lua":
        "return { on = { event = 'spin' }, timeout = '10m', execute = function() while true do end end }",
      "triggers/a_test.lua":
        "it('spins', function()\nhost:send('key') host:send('spin')\nend)\nit('goes on', function() end)",
    ])
    let ended = try await triggerHost(
      "test", "--timeout", "3s", "--json", "--junit", "report.xml", in: directory.path)
    #expect(ended.status == 1)
    let report = try ended.jsonObject()
    #expect(report["passed"] as? Int == 2 && report["failed"] as? Int == 1 && report["pending"] as? Int == 1)
    let files = try #require(report["files"] as? [[String: Any]])
    let test = try #require((files[0]["tests"] as? [[String: Any]])?.first)
    let error =
      "triggers/a_test.lua:2: timeout: it does not end within 3s: host:send waited, with the clock at 2026-01-01T00:00:00Z; 'spin' is running; operations queued: 0, done: 0"
    #expect((test["error"] as? String)?.hasPrefix(error) == true, "\(test)")
    #expect(
      test["waiting"] as? [String] == ["debounce of 'typed' (event 'key'), due in 5s: host:advance(\"5s\")"])
    let reader = JUnitReader()
    let parser = XMLParser(data: Data(try directory.read("report.xml").utf8))
    parser.delegate = reader
    #expect(parser.parse(), "\(String(describing: parser.parserError))")
    #expect(reader.failures.first?.hasPrefix(error) == true, "\(reader.failures)")
    let text = try await triggerHost("test", "--timeout", "3s", in: directory.path)
    #expect(
      text.lines.contains(
        "  waits for the clock: debounce of 'typed' (event 'key'), due in 5s: host:advance(\"5s\")"),
      "\(text)")
  }

  @Test func watchingRunsWhatChanged() async throws {
    let directory = try project(["triggers/other_test.lua": "it(\"stays\", function() end)"])
    let command = try RunningCommand(["test", "--watch"], in: directory.path)
    try await command.line(containing: "2 passed, 0 failed")
    // A test alone, then what all tests may depend on.
    try directory.write(
      "triggers/counter_test.lua", Self.good + "\nit(\"more\", function() expect(1):equals(2) end)")
    try await command.line(containing: "1 passed, 1 failed")
    try directory.edit("triggers/counter.lua") { $0.replacing("page, 1", with: "page, 5") }
    try await command.line(containing: "1 passed, 2 failed")
    command.signal(SIGINT)
    _ = try await command.end()
  }
}

/// What a build server takes from the XML.
private final class JUnitReader: NSObject, XMLParserDelegate {
  var totals: [String: String] = [:]
  var cases: [String] = []
  var failures: [String] = []
  /// What errors hold.
  var texts: [String] = []
  private var text: String?

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    switch name {
    case "testsuites":
      totals = attributes.filter { ["tests", "failures", "errors", "skipped"].contains($0.key) }
    case "testcase": cases.append(attributes["name"] ?? "")
    case "failure", "error":
      failures.append(attributes["message"] ?? "")
      text = name == "error" ? "" : nil
    default: break
    }
  }

  func parser(_ parser: XMLParser, foundCharacters string: String) { text?.append(string) }

  func parser(
    _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
  ) {
    guard name == "error", let text else { return }
    texts.append(text)
    self.text = nil
  }
}
