import Foundation
import Testing

/// One word where nothing was said.
@Suite struct SilenceTests {
  private static let greeter = """
    return { on = { event = "visit", message = "said" }, execute = function(event, ctx)
      return { ctx:emit("nobody.hears", {}) }
    end }
    """

  /// An event that no trigger takes is answered so, and said once.
  @Test func eventsThatNobodyTakes() async throws {
    let directory = try TemporaryDirectory([
      "triggers/greeter.lua": Self.greeter,
      "in.jsonl": ["vist", "visit", "vist", "visit", "said"].map { #"{"event":"\#($0)"}"# }.joined(
        separator: "\n"),
    ])
    let ended = try await RunningCommand(
      ["run", "--scripts", "triggers", "--stdin", "--exit-when-idle"], in: directory.path,
      input: directory("in.jsonl")
    ).end()
    let hint =
      #""hint":"no trigger has on = { event = \"vist\" }; did you mean 'visit'?","id":1,"results":[]"#
    #expect(ended.output.contains(hint), "\(ended)")
    for line in [
      #"event 'vist': no trigger has on = { event = "vist" }; did you mean 'visit'?"#,
      #"event 'nobody.hears': no trigger has on = { event = "nobody.hears" }"#,
    ] { #expect(ended.errors.split(separator: "\n").count { $0.hasSuffix(line) } == 1, "\(ended)") }
  }

  /// A host whose data directory is removed, moved or replaced ends with a word, also when it has nothing to do. What is
  /// acknowledged is where the directory is.
  @Test func aDataDirectoryThatIsGone() async throws {
    for way in ["removed", "moved", "replaced"] {
      let directory = try TemporaryDirectory(["triggers/greeter.lua": Self.greeter])
      let host = try RunningCommand(["run", "--scripts", directory("triggers"), "--data", directory("data")])
      try await host.line(containing: "Serving")
      if way == "removed" {
        try FileManager.default.removeItem(atPath: directory("data"))
      } else {
        rename(directory("data"), directory("away"))
        if way == "replaced" { try directory.write("data/log.sqlite", "not this one") }
      }
      let ended = try await host.end()
      #expect(ended.status == 1, "\(ended)")
      #expect(ended.errors.contains("the data directory was removed, moved or replaced"), "\(ended)")
    }
  }

  /// Somebody removes the lock, and another host takes the directory: the first one ends with a word, also when it has
  /// nothing to do.
  @Test func aDataDirectoryThatAnotherHostHasTaken() async throws {
    let directory = try TemporaryDirectory(["triggers/greeter.lua": Self.greeter])
    let arguments = ["run", "--scripts", directory("triggers"), "--data", directory("data")]
    let host = try RunningCommand(arguments)
    try await host.line(containing: "Serving")
    try FileManager.default.removeItem(atPath: directory("data/lock"))
    let other = try RunningCommand(arguments)
    try await other.line(containing: "Serving")
    let ended = try await host.end()
    #expect(ended.status == 1, "\(ended)")
    #expect(ended.errors.contains("another host has \(directory("data"))"), "\(ended)")
    #expect(!ended.errors.contains("disk"), "\(ended)")
    #expect(other.isRunning)
    other.signal(SIGTERM)
    #expect(try await other.end().status == 0)
  }

  /// Schedules are taken up as they are saved; of the rest of host.yaml it is said that it needs a start.
  @Test func schedulesThatAreSaved() async throws {
    func job(_ name: String, _ every: String, _ payload: String = "{}") -> String {
      "  - { name: \(name), every: \(every), event: visit, payload: \(payload) }\n"
    }
    let directory = try TemporaryDirectory([
      "triggers/greeter.lua": Self.greeter,
      "host.yaml": "cron: cron.yaml\ndata: data\n",
      "cron.yaml": "schedules:\n" + job("a", "1h") + job("b", "1h"),
    ])
    let host = try RunningCommand(["run", "--config", directory("host.yaml")])
    try await host.line(containing: "Serving")
    try directory.write("cron.yaml", "schedules:\n" + job("a", "1h", "{ n: 1 }") + job("c", "50ms"))
    try await host.line(containing: "schedules: in force from seq 1: changed a; new c; gone b")
    // It fires.
    try await host.line(containing: "event 'nobody.hears'")
    try directory.write(
      "cron.yaml", "schedules:\n" + job("a", "1h", "{ n: 1 }") + "  - { name: c, every: often }\n")
    try await host.line(containing: "cron.yaml:3: ")
    try await host.line(containing: "schedules: not taken up, those that run stay in force")
    try directory.write("cron.yaml", "schedules:\n" + job("a", "1h", "{ n: 1 }"))
    try await host.line(containing: "gone c")
    try directory.write("host.yaml", "cron: cron.yaml\ndata: data\nlimits: { hops: 10 }\nworkers: 2\n")
    try await host.line(containing: "limits, workers changed: that needs a start")
    try await host.line(containing: "schedules: none has changed")
    host.signal(SIGHUP)
    try await host.line(containing: "schedules: nothing has changed")
    try await host.line(containing: "scripts: nothing has changed")
    host.signal(SIGTERM)
    let ended = try await host.end()
    #expect(ended.status == 0, "\(ended)")
  }

  @Test func theZoneIsSaid() async throws {
    let directory = try TemporaryDirectory(["triggers/greeter.lua": Self.greeter])
    for (zone, isGood) in [("Europe/Berlin", true), ("CET-1CEST", false)] {
      let ended = try await RunningCommand(
        ["run", "--scripts", "triggers", "--exit-when-idle"], in: directory.path, environment: ["TZ": zone]
      ).end()
      #expect((ended.output + ended.errors).contains("Time zone: \(isGood ? zone : "")"), "\(ended)")
      #expect(ended.errors.contains("TZ is '\(zone)', which names no time zone") == !isGood, "\(ended)")
    }
  }

  /// Followed or not, SIGHUP takes up what was saved.
  @Test func lookedAtWhenAsked() async throws {
    let directory = try TemporaryDirectory([
      "triggers/greeter.lua": Self.greeter,
      "host.yaml": "scripts: { directory: triggers, watch: off }\ncron: cron.yaml\n",
      "cron.yaml": "schedules: []\n",
    ])
    let host = try RunningCommand(["run", "--config", directory("host.yaml")])
    try await host.line(containing: "Serving")
    try directory.write("triggers/other.lua", Script.good)
    try directory.write(
      "cron.yaml", "schedules:\n  - { name: a, at: '2020-01-01T00:00:00Z', event: visit }\n")
    host.signal(SIGHUP)
    try await host.line(containing: "new other")
    try await host.line(containing: "new a")
    try await host.line(containing: "warning: schedule 'a' does not fire: 2020-01-01T00:00:00Z is past")
    host.signal(SIGTERM)
    #expect(try await host.end().status == 0)
  }

  /// Intents that are prepared and not returned, by `check` and by the first run.
  @Test func intentsThatAreNotReturned() async throws {
    let directory = try TemporaryDirectory([
      "triggers/put.lua": """
      return { on = { event = "visit" }, execute = function(event, ctx)
        local s = ctx:store("s")
        s:put("a", 1)
      end }
      """,
      "triggers/kept.lua": """
      return { on = { event = "visit" }, execute = function(event, ctx)
        local change = ctx:store("s"):add("n", 1)
      end }
      """,
      "in.jsonl": "{\"event\":\"visit\"}\n{\"event\":\"visit\"}\n",
    ])
    let check = try await triggerHost("check", directory.path)
    #expect(
      check.output.contains(
        "put.lua:3: warning: store:put changes nothing by itself: return what it gives from execute"),
      "\(check)")
    #expect(check.status == 0 && !check.output.contains("kept.lua:"), "\(check)")
    let ended = try await RunningCommand(
      ["run", "--scripts", "triggers", "--stdin", "--exit-when-idle"], in: directory.path,
      input: directory("in.jsonl")
    ).end()
    for name in ["put", "kept"] {
      let said = (ended.output + ended.errors).split(separator: "\n").count {
        $0.contains("[\(name) ") && $0.contains("execute has prepared 1 intent and returned none")
      }
      #expect(said == 1, "\(ended)")
    }
  }
}
