import Foundation
import Testing

/// What comes in from outside is taken as it is or refused: nothing is repaired, and nothing waits for ever.
@Suite struct BorderTests {
  private static let keeper = """
    return { on = { event = "visit" }, execute = function(event, ctx)
      return { ctx:store("visits"):put(event.page or "none", event) }
    end }
    """

  private func project() throws -> TemporaryDirectory {
    try TemporaryDirectory(["triggers/keeper.lua": Self.keeper])
  }

  /// The answers of `run --stdin` by `id`.
  private func answers(_ lines: [[UInt8]]) async throws -> [Int: String] {
    let directory = try project()
    try Data(lines.joined(separator: [0x0A])).write(to: URL(fileURLWithPath: directory("in.jsonl")))
    let host = try RunningCommand(
      ["run", "--scripts", "triggers", "--stdin", "--exit-when-idle"], in: directory.path,
      input: directory("in.jsonl"))
    let ended = try await host.end()
    #expect(ended.status == 0, "\(ended)")
    var answers: [Int: String] = [:]
    for line in ended.lines {
      guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
        let id = object["id"] as? Int
      else { continue }
      #expect(answers[id] == nil, "two answers: \(line)")
      answers[id] = object["error"] as? String ?? (object["results"] as? [Any]).map { "\($0.count)" }
    }
    return answers
  }

  private func event(_ text: String, _ bytes: [UInt8] = [], _ rest: String = "") -> [UInt8] {
    Array(text.utf8) + bytes + Array(rest.utf8)
  }

  /// As long as a value may be, and what is longer or no JSON is answered to who sent it.
  @Test func longLinesAreAnswered() async throws {
    func text(_ count: Int) -> [UInt8] { [UInt8](repeating: UInt8(ascii: "a"), count: count) }
    let answers = try await answers([
      event(#"{"event":"visit","id":10,"payload":{"page":"#, [], "\"") + text(1_000_000) + event("\"}}"),
      event(#"{"event":"visit","payload":{"id":1,"page":"#, [], "\"") + text(2_000_000)
        + event(#""},"id":20}"#),
      event(#"{"event":"visit","id":30,"payload":{"id":1}"#), event(#"{"event":"visit"}"#),
    ])
    #expect(answers[10] == "1" && answers[4] == "1")
    #expect(answers[20] == "line 2 is longer than 1 MiB")
    #expect(answers[30]?.hasPrefix("line 3: ") == true, "\(answers)")
  }

  // MARK: Text

  /// Two keys that differ in a byte that is no text were one, and the second event never ran.
  @Test func standardInputTakesTextAsItIsOrNotAtAll() async throws {
    let prefix = #"{"event":"visit","key":"caf"#
    let answers = try await answers([
      event(prefix, [0xE9], #"","payload":{"page":"a"}}"#),
      event(prefix, [0xE8], #"","payload":{"page":"a"}}"#),
      event(#"{"event":"visit","payload":{"page":""#, [0xFF], #""}}"#),
      event(#"{"event":"vis"#, [0xFF], #"it"}"#),
      event("", [0xFF, 0xFE]),
      // Overlong, a surrogate, beyond the last code point.
      event(#"{"event":"visit","payload":{"page":""#, [0xC0, 0x80], #""}}"#),
      event(#"{"event":"visit","payload":{"page":""#, [0xED, 0xA0, 0x80], #""}}"#),
      event(#"{"event":"visit","payload":{"page":""#, [0xF4, 0x90, 0x80, 0x80], #""}}"#),
      event(#"{"event":"visit","payload":{"page":"\ud800"}}"#),
      event(#"{"event":"visit","payload":{"page":"a","page":"b"}}"#),
      event(#"{"event":"visit","payload":{"page":"raw"#, [0], #""}}"#),
      event("\u{FEFF}{\"event\":\"visit\"}"),
      event(#"{"event":"visit","payload":{"page":"\u0000\u00e9 é"}}"# + "\r"),
    ])
    #expect(answers[1] == "line 1: not UTF-8 text: 0xe9 at byte 28")
    #expect(answers[2] == "line 2: not UTF-8 text: 0xe8 at byte 28")
    #expect(answers[3] == "line 3: not UTF-8 text: 0xff at byte 37")
    #expect(answers[4] == "line 4: not UTF-8 text: 0xff at byte 14")
    #expect(answers[5] == "line 5: not UTF-8 text: 0xff at byte 1")
    #expect(answers[6] == "line 6: not UTF-8 text: 0xc0 at byte 37")
    #expect(answers[7] == "line 7: not UTF-8 text: 0xed at byte 37")
    #expect(answers[8] == "line 8: not UTF-8 text: 0xf4 at byte 37")
    #expect(answers[9] == "line 9: column 37: a lone surrogate; characters beyond U+FFFF take a pair")
    #expect(answers[10] == "line 10: column 40: the key 'page' is already in the map")
    #expect(answers[11] == "line 11: column 40: a control character in a string must be escaped")
    #expect(answers[12]?.hasSuffix("got a byte order mark") == true)
    #expect(answers[13] == "1")
  }

  /// A byte order mark at the very beginning is no part of the text.
  @Test func aMarkAtTheBeginningIsPassedOver() async throws {
    let answers = try await answers([event("\u{FEFF}{\"event\":\"visit\"}\r"), event("")])
    #expect(answers == [1: "1"])
  }

  @Test func argumentsThatAreNoTextAreRefused() async throws {
    let directory = try project()
    for line in [
      #""$host" exec triggers/keeper.lua --event "$(printf '{"page":"caf\351"}')""#,
      #""$host" why visits "$(printf 'caf\351')" --data data"#,
      #""$host" run --scripts "$(printf 'caf\351')""#,
      #""$host" "$(printf 'caf\351')""#,
    ] {
      let ended = try await RunningCommand(shell: line, in: directory.path).end()
      #expect(ended.status == 2, "\(line): \(ended)")
      let said = ended.errorLines.first ?? ""
      #expect(said.hasPrefix("Error: argument ") && said.contains("not UTF-8 text: 0xe9 at byte "), "\(said)")
    }
  }

  @Test func theReplTakesTextOnly() async throws {
    let ended = try await RunningCommand(shell: #"printf 'return "caf\351"\nreturn 1 + 1\n' | "$host" repl"#)
      .end()
    #expect(ended.status == 1)
    #expect(ended.errorLines.first == "repl: line 1: not UTF-8 text: 0xe9 at byte 12")
    #expect(ended.lines == ["2"])
  }

  @Test func feedsCronFilesAndConfigurationsAreText() async throws {
    let directory = try project()
    func write(_ name: String, _ bytes: [UInt8]) throws {
      try Data(bytes).write(to: URL(fileURLWithPath: directory(name)))
    }
    try write("bars.csv", event("page\n", [0x63, 0xE9], "\nb\0\nc\n"))
    try write("bars.jsonl", event("{\"page\": \"", [0xE9], "\"}\n{\"page\": \"d\"}\n"))
    try write("tab.cron", event("@every 90s keeper\n# caf", [0xE9], "\n"))
    let config =
      "feeds:\n  - { name: a, file: bars.csv, event: visit, kind: event }\n"
      + "  - { name: b, file: bars.jsonl, event: visit, kind: event }\n"
    try write("host.yaml", Array(config.utf8))
    try write("bad.yaml", event("workers: 1\n# ", [0xE9], "\n"))
    let fed = try await triggerHost("run", "--exit-when-idle", in: directory.path)
    #expect(fed.status == 0)
    let bars = Set(fed.errorLines.filter { $0.contains("bars.") })
    #expect(
      bars == [
        "./bars.csv:2: column 1: not UTF-8 text: 0xe9 at byte 2 of it",
        "./bars.csv:3: column 1: a NUL byte; a feed is UTF-8 text, is this UTF-16?",
        "./bars.jsonl:1: not UTF-8 text: 0xe9 at byte 11",
      ] || Set(bars.map { $0.replacingOccurrences(of: "./", with: "") }).count == 3, "\(fed)")
    #expect(fed.errors.contains("2 committed"), "\(fed)")
    let cron = try await triggerHost("cron", "check", "tab.cron", in: directory.path)
    #expect(cron.errorLines == ["tab.cron:2: not UTF-8 text: 0xe9 at byte 6"], "\(cron)")
    let bad = try await triggerHost("check", "--config", "bad.yaml", in: directory.path)
    #expect(bad.lines.contains("bad.yaml:2: not UTF-8 text: 0xe9 at byte 3"), "\(bad)")
  }

  // MARK: What is no file

  /// `check` waited for ever for a writer of a named pipe, and read a device without an end.
  @Test(arguments: [
    ("mkfifo it.csv", "a named pipe"), ("mkdir it.csv", "a directory"),
    ("ln -s /dev/zero it.csv", "a device"),
  ])
  func whatIsNoFileIsSaidAtOnce(_ make: String, _ kind: String) async throws {
    let directory = try project()
    try Data("feeds:\n  - { name: f, file: it.csv, event: visit }\n".utf8)
      .write(to: URL(fileURLWithPath: directory("feed.yaml")))
    try Data("cron: it.csv\n".utf8).write(to: URL(fileURLWithPath: directory("cron.yaml")))
    _ = try await RunningCommand(shell: make, in: directory.path).end()
    for line in [
      "check --config feed.yaml", "run --config feed.yaml --exit-when-idle", "check --config cron.yaml",
      "check --scripts triggers --cron it.csv", "run --config it.csv", "cron check it.csv",
      "exec triggers/keeper.lua --event @it.csv",
    ] {
      let ended = try await RunningCommand(shell: "timeout 60 \"$host\" " + line, in: directory.path).end()
      #expect(ended.status == (line.hasPrefix("exec") ? 2 : 1), "\(line): \(ended)")
      let said = (ended.output + ended.errors)
      let isSaid =
        line.hasPrefix("exec")
        ? said.contains("Error: --event: it.csv") : said.contains("not a regular file but \(kind)")
      #expect(isSaid, "\(line): \(said)")
    }
    try Data("feeds:\n  - { name: f, file: it.csv, event: visit }\n".utf8)
      .write(to: URL(fileURLWithPath: directory("triggers/host.yaml")))
    _ = try await RunningCommand(shell: "mv it.csv triggers/it.lua", in: directory.path).end()
    if kind == "a directory" { return }
    let script = try await RunningCommand(
      shell: "timeout 60 \"$host\" check --scripts triggers", in: directory.path
    ).end()
    #expect(script.output.contains("it.lua: is not a regular file but \(kind)"), "\(script)")
  }

  /// A pipe with a writer is read to its end.
  @Test func anArgumentMayComeThroughAPipe() async throws {
    let directory = try project()
    let ended = try await RunningCommand(
      shell: #""$host" exec triggers/keeper.lua --event @<(sleep 0.2; echo '{"page":"home"}')"#,
      in: directory.path
    ).end()
    #expect(ended.lines.first == "put    visits/home = {\"page\":\"home\"}", "\(ended)")
  }

  // MARK: Descriptors

  /// The log was opened as descriptor 0, 1 or 2, and what was printed went into it.
  @Test(arguments: ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
  func closedDescriptorsAreNotTaken(_ closed: String) async throws {
    let directory = try project()
    // While it serves, its descriptors are looked at from outside; the first line of `ls` would be one of its files.
    let line = """
      "$host" run --scripts triggers --stdin --serve --data data \(closed) &
      until "$host" log verify --data data >/dev/null 2>&1 || ! kill -0 $!; do sleep 0.05; done
      for n in 0 1 2; do readlink /proc/$!/fd/$n | grep -v -e pipe: -e /dev/null; done
      kill -TERM $!
      wait $!
      echo ended with $?
      """
    let ended = try await RunningCommand(shell: line, in: directory.path).end()
    #expect(ended.lines.last == "ended with 0", "\(ended)")
    #expect(!ended.output.contains("log.sqlite") && !ended.output.contains("/lock"), "\(ended)")
    let again = try await triggerHost("log", "verify", "--data", "data", in: directory.path)
    #expect(again.status == 0, "\(again)")
  }
}
