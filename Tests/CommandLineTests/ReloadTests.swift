import Foundation
import HostConfig
import Testing
import TriggerFiles

@testable import TriggerSQLite
@testable import TriggerRuntime

/// Scripts that are saved while the real host runs, and the script trees that it keeps.
@Suite struct ScriptReloadTests {
  private static func tick(_ text: String) -> String {
    """
    return { on = { every = "20ms" }, execute = function(event, ctx)
      return { ctx:store("s"):put("text", "\(text)"), ctx:store("counts"):add("\(text)", 1) }
    end }
    """
  }

  private func start(_ directory: TemporaryDirectory) async throws -> RunningCommand {
    let host = try RunningCommand(["run", "--scripts", directory("triggers"), "--data", directory("data")])
    try await host.line(containing: "Serving")
    return host
  }

  @Test func savesAreTakenUpOrWait() async throws {
    let directory = try TemporaryDirectory(["triggers/tick.lua": Self.tick("one")])
    let host = try await start(directory)
    try directory.write("triggers/tick.lua", Self.tick("two"))
    try await host.line(containing: "tree 2 in force from seq")
    // Broken: all of it said with its place, and what is saved after it does not wait for it.
    let fields = (1...30).map { "wrong\($0) = 1,\n" }.joined()
    try directory.write("triggers/tick.lua", "return { on = {},\n\(fields) execute = print }\n")
    try await host.line(containing: "tick.lua:2: unknown field 'wrong1'")
    try await host.line(containing: "tick.lua:21: unknown field 'wrong20'")
    try await host.line(containing: "scripts: and 10 more mistakes: trigger-host check names all")
    try await host.line(containing: "tick.lua is not taken up; its version of tree 2 stays in force")
    try await host.line(containing: "not reloaded, the scripts that run stay in force")
    try directory.write("triggers/other.lua", Script.good)
    try await host.line(containing: ": 1 file, new other; 1 file held back")
    try directory.write("triggers/tick.lua", Self.tick("three"))
    try await host.line(containing: ": 1 file, changed tick")
    // It can run, and is a mistake where it gets to.
    try directory.write(
      "triggers/other.lua",
      "return { execute = function(event, ctx)\n  if event.x then ctx:lgo('x') end\nend }\n")
    try await host.line(containing: "changed other")
    try await host.line(
      containing: "\(directory("triggers"))/other.lua:2: warning: ctx has no 'lgo'; did you mean 'log'?")
    host.signal(SIGTERM)
    let ended = try await host.end()
    #expect(ended.status == 0, "\(ended)")

    let log = try await triggerHost("scripts", "log", "--data", directory("data"))
    #expect(log.output.contains("tree 1  from seq 1  "), "\(log.output)")
    #expect(log.output.contains("    other.lua"))
    let trees = log.output.split(separator: "\n").count { $0.hasPrefix("tree ") }
    #expect(trees >= 3)
    let json = try await triggerHost("scripts", "log", "--json", "--data", directory("data"))
    #expect(json.lines.first?.contains(#""tree":1"#) == true, "\(json)")
    let diff = try await triggerHost("scripts", "diff", "tree:1", "tree:2", "--data", directory("data"))
    #expect(
      diff.output.contains(#"-  return { ctx:store("s"):put("text", "one")"#)
        && diff.output.contains(#"+  return { ctx:store("s"):put("text", "two")"#), "\(diff.output)")
    let show = try await triggerHost("scripts", "show", "1", "tick.lua", "--data", directory("data"))
    #expect(show.output == Self.tick("one"))
    let verified = try await triggerHost("replay", "--data", directory("data"), "--verify")
    #expect(verified.status == 0, "\(verified)")
    // No checkpoint has noted since when they are in force: their records say it, also to the host that comes next.
    try Database(path: directory("data/log.sqlite")).run("UPDATE script_trees SET seq = 0 WHERE number > 1")
    #expect(try await triggerHost("scripts", "log", "--data", directory("data")).output == log.output)
    _ = try await triggerHost(
      "run", "--scripts", directory("triggers"), "--data", directory("data"), "--exit-when-idle")
    #expect(try await triggerHost("scripts", "log", "--data", directory("data")).output == log.output)
  }

  /// A file that cannot be read holds up nothing else; what is said once is said again when it comes again.
  @Test func whatCannotBeReadIsRefused() async throws {
    let directory = try TemporaryDirectory(["triggers/tick.lua": Self.tick("one")])
    let host = try await start(directory)
    try directory.write("triggers/large.lua", String(repeating: "-", count: 2 << 20))
    try await host.line(containing: "large.lua: larger than 1 MiB")
    try await host.line(containing: "large.lua cannot be read; no version of it is in force")
    try directory.write("triggers/tick.lua", Self.tick("two"))
    try await host.line(containing: ": 1 file, changed tick; 1 file held back")
    try FileManager.default.removeItem(atPath: directory("triggers/large.lua"))
    try await host.line(containing: "the files are back to what runs")
    for times in 1...2 {
      rename(directory("triggers"), directory("away"))
      #expect(try await host.lines(times, containing: "the scripts directory does not exist").count == times)
      rename(directory("away"), directory("triggers"))
      #expect(
        try await host.lines(times + 1, containing: "the files are back to what runs").count == times + 1)
    }
    host.signal(SIGTERM)
    let ended = try await host.end()
    #expect(ended.status == 0 && !ended.errors.contains("tree 3 in force"), "\(ended)")
  }

  /// Whatever a start finds, it goes on with the scripts that ran: the last good version of what does not load.
  @Test func aStartFindsWhatRan() async throws {
    let directory = try TemporaryDirectory([
      "triggers/bad.lua": Self.tick("one"), "triggers/good.lua": Self.tick("first"),
    ])
    let options = ["--scripts", directory("triggers"), "--data", directory("data")]
    var host = try await start(directory)
    try directory.write("triggers/bad.lua", "return {\n  on = {")
    try await host.line(containing: "bad.lua:2: unexpected symbol near <eof>")
    try await host.line(containing: "bad.lua is not taken up; its version of tree 1 stays in force")
    try directory.write("triggers/good.lua", Self.tick("second"))
    try await host.line(containing: "tree 2 in force")
    host.signal(SIGKILL)
    _ = try await host.end()
    for _ in 1...2 {
      host = try await start(directory)
      try await host.line(containing: "bad.lua:2: unexpected symbol near <eof>")
      try await host.line(containing: "bad.lua is not taken up; its version of tree 2 stays in force")
      try await host.line(containing: "2 triggers: bad, good")
      host.signal(SIGTERM)
      #expect(try await host.end().status == 0)
    }
    // One event for the script as it is in the directory, and another.
    let good = try await RunningCommand(["exec", "good", "--event", "{}", "--commit"] + options).end()
    #expect(good.status == 0, "\(good)")
    let bad = try await RunningCommand(["exec", "bad", "--event", "{}", "--commit"] + options).end()
    #expect(bad.status == 1 && bad.errors.contains("bad.lua:2: unexpected symbol near <eof>"), "\(bad)")
    let trees = try await triggerHost("scripts", "log", "--data", directory("data"))
    #expect(trees.output.split(separator: "\n").count { $0.hasPrefix("tree ") } == 2, "\(trees)")
    let verified = try await triggerHost("replay", "--data", directory("data"), "--verify")
    #expect(verified.status == 0, "\(verified)")
    host = try await start(directory)
    try directory.write("triggers/bad.lua", Self.tick("mended"))
    try await host.line(containing: "tree 3 in force")
    host.signal(SIGTERM)
    #expect(try await host.end().status == 0)
  }

  /// A checkout of thousands of files takes longer than the half second after which a watcher would cut the burst.
  @Test func aLongBurstIsOneTree() {
    let options = ScriptFollower.options(HostConfig(file: "host.yaml"))
    #expect(options.longest >= .seconds(5) && options.quiet < .milliseconds(100))
  }

  @Test func recentOperationsAreExecutedWithTheNewScripts() async throws {
    func script(_ body: String) -> String {
      """
      return { on = { event = "e" }, execute = function(event, ctx)
        \(body)
        return { ctx:store("s"):put("k" .. event.n, event.n * 2) }
      end }
      """
    }
    let directory = try TemporaryDirectory([
      "triggers/t.lua": script(""),
      "host.yaml": "scripts: { directory: triggers, verify_last: 5 }\ndata: data\norder: strict\n",
      "in.jsonl": (1...10).map { #"{"event": "e", "payload": {"n": \#($0)}}"# }.joined(separator: "\n")
        + "\n",
    ])
    let host = try RunningCommand(
      ["run", "--config", directory("host.yaml"), "--stdin", "--serve"], input: directory("in.jsonl"))
    _ = try await host.line(containing: #""seq":10"#)
    try directory.write("triggers/t.lua", script("if event.n == 8 then error('eight') end"))
    try await host.line(
      containing:
        "5 recent operations executed with the new scripts: 1 would fail that did not, 0 would differ")
    try await host.line(containing: "would fail: seq 8 t:")
    try await host.line(containing: "tree 2 in force from seq 11")
    try directory.write("triggers/t.lua", script("if event.n == 7 then event.n = 70 end"))
    try await host.line(containing: "0 would fail that did not, 1 would differ")
    host.signal(SIGTERM)
    #expect(try await host.end().status == 0)
  }

  /// The new scripts wait for their trial, but neither for a thousand endless loops nor for a patient one. However
  /// busy the machine is, the first loop is over its limit within ten times that: a good while before the trial ends.
  @Test(arguments: [("300ms", ": [1-9][0-9]* would fail"), ("1m", ": 0 would fail")])
  func aTrialEnds(timeout: String, verdict: String) async throws {
    func script(_ body: String) -> String {
      "return { on = { event = 'e' }, timeout = '\(timeout)', execute = function(event, ctx) \(body) return {} end }"
    }
    let directory = try TemporaryDirectory([
      "triggers/t.lua": script(""),
      "host.yaml": "scripts: { directory: triggers, verify_last: 1000 }\ndata: data\norder: strict\n",
      "in.jsonl": String(repeating: #"{"event": "e"}"# + "\n", count: 1000),
    ])
    let host = try RunningCommand(
      ["run", "--config", directory("host.yaml"), "--stdin", "--serve"], input: directory("in.jsonl"))
    _ = try await host.line(containing: #""seq":1000"#)
    try directory.write("triggers/t.lua", script("while true do end"))
    let line = try await host.line(containing: "executed with the new scripts, the rest left out after 5s")
    #expect(line.contains(try Regex(verdict)), "\(line)")
    try await host.line(containing: "tree 2 in force from seq 1001")
    host.signal(SIGTERM)
    #expect(try await host.end().status == 0)
  }

  /// One file at a time, or two of which the second is needed: what a busy machine makes of two saves is two trees.
  @Test func rollbackWritesATreeBack() async throws {
    let directory = try TemporaryDirectory([
      "triggers/tick.lua": Self.tick("one"), "triggers/lib/a.lua": "return 1\n",
    ])
    let host = try await start(directory)
    try directory.write("triggers/tick.lua", Self.tick("two"))
    try await host.line(containing: "tree 2 in force from seq")
    let arguments = ["--data", directory("data"), "--scripts", directory("triggers")]
    // While the host runs: it takes the files up as a new tree.
    let back = try await RunningCommand(["scripts", "rollback", "--to", "1"] + arguments).end()
    #expect(back.status == 0, "\(back)")
    #expect(try directory.read("triggers/tick.lua") == Self.tick("one"))
    try await host.line(containing: "tree 3 in force from seq")
    try FileManager.default.removeItem(atPath: directory("triggers/lib/a.lua"))
    try await host.line(containing: "tree 4 in force from seq")
    // Work that is in no tree is not lost.
    try directory.write("triggers/tick.lua", "return {\n  -- not yet\n")
    try await host.line(containing: "not reloaded")
    let refused = try await RunningCommand(["scripts", "rollback", "--to", "tree:2"] + arguments).end()
    #expect(refused.status == 1)
    #expect(refused.errors.contains("tick.lua: edited, and in no tree"), "\(refused.errors)")
    #expect(try directory.read("triggers/tick.lua") == "return {\n  -- not yet\n")
    let forced = try await RunningCommand(["scripts", "rollback", "--to", "tree:2", "--force"] + arguments)
      .end()
    #expect(forced.status == 0, "\(forced)")
    #expect(try directory.read("triggers/tick.lua") == Self.tick("two"))
    #expect(try directory.read("triggers/lib/a.lua") == "return 1\n")
    try await host.line(containing: "tree 5 in force from seq")
    host.signal(SIGTERM)
    #expect(try await host.end().status == 0)
    let unknown = try await RunningCommand(["scripts", "rollback", "--to", "tree:9"] + arguments).end()
    #expect(unknown.status == 1 && unknown.errors.contains("the newest is tree:5"), "\(unknown.errors)")
    let tooLate = try await RunningCommand(["scripts", "rollback", "--to", "999999"] + arguments).end()
    #expect(tooLate.status == 1 && tooLate.errors.contains("the log ends at seq"), "\(tooLate.errors)")
    let nowhere = try await triggerHost(
      "scripts", "diff", "tree:1", "--path", "tik.lua", "--data", directory("data"))
    #expect(nowhere.status == 1 && nowhere.errors.contains("did you mean 'tick.lua'?"), "\(nowhere.errors)")
  }

  /// Back and forth between trees in which directories stand where files were; whole or not at all.
  @Test func rollbackBetweenShapes() async throws {
    let shapes: [[String: String]] = [
      ["tick.lua": Self.tick("one"), "f.lua": Script.good, "old/deep/o.lua": Script.good],
      ["tick.lua": Self.tick("two"), "f.lua/g.lua": Script.good, "new/n.lua": Script.good],
    ]
    let directory = try TemporaryDirectory()
    let (triggers, files) = (directory("triggers"), FileManager.default)
    func rollback(_ tree: String) async throws -> EndedCommand {
      try await triggerHost(
        "scripts", "rollback", "--to", tree, "--data", directory("data"), "--scripts", triggers)
    }
    func names() throws -> Set<String> { Set(try files.subpathsOfDirectory(atPath: triggers)) }
    for shape in shapes {
      try? files.removeItem(atPath: triggers)
      for (path, text) in shape { try directory.write("triggers/\(path)", text) }
      let ended = try await triggerHost(
        "run", "--scripts", triggers, "--data", directory("data"), "--exit-when-idle")
      #expect(ended.status == 0, "\(ended)")
    }
    chmod(directory("triggers/tick.lua"), 0o750)
    for tree in [1, 2, 1] {
      let ended = try await rollback("tree:\(tree)")
      #expect(ended.status == 0, "\(ended)")
      #expect(
        try names()
          == (tree == 1
            ? ["tick.lua", "f.lua", "old", "old/deep", "old/deep/o.lua"]
            : ["tick.lua", "f.lua", "f.lua/g.lua", "new", "new/n.lua"]))
      #expect(try directory.read("triggers/tick.lua") == shapes[tree - 1]["tick.lua"])
    }
    let mode = try files.attributesOfItem(atPath: directory("triggers/tick.lua"))[.posixPermissions] as? Int
    #expect(mode == 0o750)
    // Something that is no script is in the way: nothing changes, and nothing of ours lies around.
    try directory.write("triggers/new", "mine")
    let before = try names()
    let refused = try await rollback("tree:2")
    #expect(refused.status == 1)
    #expect(
      refused.errors.hasPrefix(
        "\(triggers)/new/n.lua: cannot be written: \(triggers)/new is in the way, it is no directory"),
      "\(refused)")
    #expect(try names() == before && directory.read("triggers/tick.lua") == shapes[0]["tick.lua"])
    try files.removeItem(atPath: directory("triggers/new"))
    #expect(try await rollback("tree:2").status == 0)
    try directory.write("triggers/f.lua/notes.txt", "mine")
    let kept = try await rollback("tree:1")
    #expect(kept.status == 1 && kept.errors.contains("it is a directory, with notes.txt in it"), "\(kept)")
    #expect(try directory.read("triggers/tick.lua") == shapes[1]["tick.lua"])
  }
}
