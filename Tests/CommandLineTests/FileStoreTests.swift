import Foundation
import Testing
import TriggerCore

/// File stores as their users meet them: a directory in host.yaml, scripts that maintain its files, people who edit
/// them meanwhile, and hosts that are killed.
@Suite(.serialized) struct FileStoreTests {
  private static let files: KeyValuePairs<String, String> = [
    "host.yaml": """
    scripts: triggers
    stores:
      configs:
        backend: files
        directory: conf
        max_file: 4kb
        max_total: 64kb
        max_files: 20
    """,
    "triggers/set.lua": """
    return { on = { event = "set" }, execute = function(event, ctx)
      return { ctx:store("configs"):put(event.file, event.text) }
    end }
    """,
    "triggers/move.lua": """
    return { on = { event = "move" }, execute = function(event, ctx)
      local files = ctx:store("configs")
      local text = assert(files:get(event.from), event.from .. " is not there")
      return {
        files:put(event.to, text), files:delete(event.from),
        files:append_text("moves.log", event.from .. " > " .. event.to .. "\\n"),
        files:append_text("moves.log", "done\\n"),
      }
    end }
    """,
    "triggers/seen.lua": """
    return { on = { commit = { "configs/*.conf", "configs/**/*.conf" } }, execute = function(event, ctx)
      if event.trigger ~= "file-edit" then return {} end
      local files, intents = ctx:store("configs"), {}
      for _, key in ipairs(event.keys) do
        local text = files:get(key:sub(#"configs/" + 1)) or "gone"
        intents[#intents + 1] = ctx:store("edits"):append("seen", key .. "=" .. text)
        ctx:log("info", "seen " .. key .. "=" .. text)
      end
      return intents
    end }
    """,
    "conf/a.conf": "one", "conf/sub/b.conf": "two",
  ]

  /// One event after the other, each under the next seq: of such as need what the one before has done.
  private func inOrder() throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory(Self.files)
    try directory.edit("host.yaml") { "order: strict\n" + $0 }
    return directory
  }

  private func event(_ name: String, _ payload: [String: String]) throws -> String {
    let payload = try JSON.text(.map(Value.Map(payload.mapValues { .string($0) })))
    return
      "{\"event\": \"\(name)\", \"id\": \"\(payload.replacing("\"", with: "'"))\", \"payload\": \(payload)}\n"
  }

  private func set(_ file: String, _ text: String) throws -> String {
    try event("set", ["file": file, "text": text])
  }

  /// Every file by its path.
  private func contents(_ directory: TemporaryDirectory) throws -> [String: String] {
    var contents: [String: String] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: directory("conf")) {
      if let text = try? directory.read("conf/\(path)") { contents[path] = text }
    }
    return contents
  }

  private func state(_ data: String, at seq: Int64? = nil) async throws -> Value.Map {
    let to = seq.map { ["--to", "\($0)"] } ?? []
    let ended = try await RunningCommand(["replay", "--data", data, "--json"] + to).end()
    guard case .map(let stores) = try JSON.parse(ended.output) else { return [:] }
    return stores
  }

  private func configs(_ data: String) async throws -> [String: String] {
    guard case .map(let content)? = try await state(data)["configs"] else { return [:] }
    return Dictionary(
      uniqueKeysWithValues: content.compactMap { path, text in text.stringValue.map { (path, $0) } })
  }

  private func run(_ directory: TemporaryDirectory, _ events: String, _ options: String...) async throws
    -> EndedCommand
  {
    try directory.write("events.jsonl", events)
    return try await RunningCommand(
      ["run", "--config", directory("host.yaml"), "--stdin", "--exit-when-idle"] + options,
      input: directory("events.jsonl")
    ).end()
  }

  @Test func scriptsMaintainFiles() async throws {
    let directory = try inOrder()
    let data = directory("data")
    let ended = try await run(
      directory,
      try set("a.conf", "1") + event("move", ["from": "a.conf", "to": "sub/c.conf"])
        + event("move", ["from": "sub/b.conf", "to": "b.conf"])
        + event("move", ["from": "nothing", "to": "x"]) + set("new/dir/d", "4"), "--data", data)
    #expect(ended.status == 0, "\(ended)")
    let expected = [
      "sub/c.conf": "1", "b.conf": "two", "new/dir/d": "4",
      "moves.log": "a.conf > sub/c.conf\ndone\nsub/b.conf > b.conf\ndone\n",
    ]
    #expect(try contents(directory) == expected)
    #expect(try await configs(data) == expected)
    // What was there before anything ran is an edit like others.
    #expect(ended.errors.contains("2 files changed outside, taken up with seq 1: a.conf, sub/b.conf"))
    let first = try await state(data, at: 1)["configs"]
    #expect(first == ["a.conf": "one", "sub/b.conf": "two"])
    let verified = try await triggerHost("replay", "--data", data, "--verify")
    #expect(verified.status == 0, "\(verified)")
    let why = try await triggerHost("why", "configs", "b.conf", "--data", data)
    #expect(why.output.contains("move  event move"), "\(why)")
    let log = try await triggerHost("log", "cat", "--data", data, "--trigger", "move")
    #expect(log.output.contains(#"append_text configs/moves.log = "done\n""#), "\(log)")
    // The next start has nothing to take up and nothing to write.
    let again = try await run(directory, "", "--data", data)
    #expect(again.status == 0 && !again.errors.contains("changed outside"), "\(again)")
    #expect(try contents(directory) == expected)
  }

  @Test func inMemoryTheStoreBeginsWithTheDirectory() async throws {
    let directory = try inOrder()
    let ended = try await run(
      directory, try event("move", ["from": "a.conf", "to": "c.conf"]) + set("../x", "1"), "--memory")
    #expect(ended.status == 0, "\(ended)")
    #expect(
      try contents(directory) == [
        "c.conf": "one", "sub/b.conf": "two", "moves.log": "a.conf > c.conf\ndone\n",
      ])
    #expect(ended.output.contains(#""outcome":"committed","seq":1"#), "\(ended)")
  }

  /// Nothing of such a commit is applied, and nothing outside the directory is touched.
  @Test func pathsAndSizesAreRefused() async throws {
    let directory = try inOrder()
    try FileManager.default.createSymbolicLink(
      atPath: directory("conf/out"), withDestinationPath: directory("triggers"))
    try FileManager.default.createSymbolicLink(
      atPath: directory("conf/passwd"), withDestinationPath: "/etc/passwd")
    mkfifo(directory("conf/pipe"), 0o600)
    let large = String(repeating: "x", count: 4097)
    let refusals = [
      ("../x", "1", "../x: the path must not contain `..`"),
      ("sub/../../x", "1", "sub/../../x: the path must not contain `..`"),
      (directory("x"), "1", "the path is absolute; it must be relative to the directory"),
      ("a//b", "1", "a//b: the path has an empty name in it (`//`, or a `/` at the end)"),
      ("a\\b", "1", #"a\b: the name must not contain `\`"#),
      (".hidden", "1", ".hidden: hidden, backup and temporary names do not count as files"),
      ("a\u{202E}b", "1", "the name must not contain control characters"),
      ("e\u{301}", "1", "the name is not in composed Unicode form (NFC)"),
      ("large", large, "large: larger than 4 KiB"),
      (
        "A.conf", "1",
        "A.conf: differs from a.conf only by case or Unicode form: on some systems they are one file"
      ),
      ("a.conf/x", "1", "a.conf/x: a.conf is a file, and cannot be a directory too"),
      ("sub", "1", "sub: it is a directory, of sub/b.conf, and cannot be a file too"),
    ]
    let many = try (0..<20).map { try set("f\($0)", "") }.joined()
    let ended = try await run(
      directory,
      try refusals.map { try set($0.0, $0.1) }.joined() + set("out/set.lua", "1") + set("passwd", "1")
        + set("pipe", "1") + many, "--data", directory("data"))
    #expect(ended.status == 0, "\(ended)")
    for (path, _, refusal) in refusals {
      #expect(
        ended.errors.contains("refused by store 'configs': ") && ended.errors.contains(refusal),
        "\(path): \(ended.errors)")
    }
    // Those that the store could have and the directory cannot: kept in the store, and said.
    for line in [
      "store 'configs': out/set.lua: cannot be written: out is no directory, or a link to one",
      "store 'configs': passwd: cannot be written: it is a link that is not followed",
      "store 'configs': pipe: cannot be written: it is no regular file",
      "store 'configs': passwd: the link leaves the directory (it leads to /etc/passwd)",
      "store 'configs': pipe: is not a regular file but a named pipe",
      "refused by store 'configs': more than 20 files",
    ] { #expect(ended.errors.contains(line), "\(line) in \(ended.errors)") }
    let checked = try await triggerHost("check", directory.path)
    #expect(checked.status == 0, "\(checked)")
    for line in ["passwd: warning: the link leaves", "pipe: warning: is not a regular file"] {
      #expect(checked.output.contains("\(directory("conf"))/\(line)"), "\(line) in \(checked)")
    }
    #expect(!FileManager.default.fileExists(atPath: directory("x")))
    #expect(try directory.read("triggers/set.lua").contains("ctx:store"))
    #expect(try contents(directory)["a.conf"] == "one")
    let verified = try await triggerHost("replay", "--data", directory("data"), "--verify")
    #expect(verified.status == 0, "\(verified)")
    let paths = (0..<14).map { "f\($0)" } + ["a.conf", "sub/b.conf"]
    let total = try await run(
      directory, try paths.map { try set($0, String(repeating: "y", count: 4096)) }.joined(), "--data",
      directory("data"))
    #expect(total.errors.contains("refused by store 'configs': more than 64 KiB in all files"), "\(total)")
  }

  @Test(arguments: ["auto", "poll"]) func editsBecomeOperations(watch: String) async throws {
    let directory = try TemporaryDirectory(Self.files)
    try directory.edit("host.yaml") { "\($0)\n    watch: \(watch)\n" }
    let host = try RunningCommand(
      ["run", "--config", directory("host.yaml"), "--data", directory("data")])
    try await host.line(containing: "Serving")
    try directory.write("conf/a.conf", "mine")
    try await host.line(containing: "seen configs/a.conf=mine")
    try FileManager.default.removeItem(atPath: directory("conf/sub/b.conf"))
    try await host.line(containing: "seen configs/sub/b.conf=gone")
    // What cannot be taken is said, and stays where it is.
    try directory.write("conf/large.conf", String(repeating: "x", count: 5000))
    try await host.line(containing: "store 'configs': large.conf: larger than 4 KiB")
    try directory.write("conf/bad\u{7}.conf", "")
    try await host.line(containing: "must not contain control characters")
    // A burst, by renaming, as editors and `git checkout` do it.
    for name in ["x.conf", "y.conf"] {
      try directory.write("conf/.\(name)", name)
      rename(directory("conf/.\(name)"), directory("conf/\(name)"))
    }
    try await host.line(containing: "seen configs/y.conf=y.conf")
    host.signal(SIGTERM)
    #expect(try await host.end().status == 0)
    #expect(try contents(directory)["large.conf"]?.count == 5000)
    // Made while no host runs: the next one begins with it.
    try directory.write("conf/a.conf", "at night")
    let next = try await run(
      directory, try event("move", ["from": "a.conf", "to": "z.conf"]), "--data", directory("data"))
    #expect(try contents(directory)["z.conf"] == "at night", "\(next)")
    guard case .map(let edits)? = try await state(directory("data"))["edits"],
      case .array(let seen)? = edits["seen"]
    else { return #expect(Bool(false)) }
    #expect(seen.contains("configs/a.conf=at night") && seen.contains("configs/x.conf=x.conf"), "\(seen)")
    let verified = try await triggerHost("replay", "--data", directory("data"), "--verify")
    #expect(verified.status == 0, "\(verified)")
  }

  /// Triggers write a file again and again; an editor saves it meanwhile, in both ways that editors have. Each of its
  /// contents is in the history of the store, and in the end file and store are the same.
  @Test(arguments: [true, false]) func editsUnderLoadAreNotLost(byRenaming: Bool) async throws {
    let directory = try TemporaryDirectory(Self.files)
    try directory.write(
      "triggers/busy.lua",
      """
      local n = 0
      return { on = { every = "1ms" }, execute = function(event, ctx)
        local files, count = ctx:store("configs"), ctx:store("count"):get("n") or 0
        return { ctx:store("count"):put("n", count + 1), files:put("a.conf", "busy " .. count) }
      end }
      """.replacing("local n = 0\n", with: ""))
    let data = directory("data")
    let host = try RunningCommand(["run", "--config", directory("host.yaml"), "--data", data])
    try await host.line(containing: "Serving")
    let saves = 6
    for number in 1...saves {
      let text = "mine \(number)"
      if byRenaming {
        try directory.write("conf/.a.conf.new", text)
        rename(directory("conf/.a.conf.new"), directory("conf/a.conf"))
      } else {
        let file = open(directory("conf/a.conf"), O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        _ = text.withCString { write(file, $0, strlen($0)) }
        close(file)
      }
      try await host.line(containing: "seen configs/a.conf=")
      // The next one only when this one is in the log: an editor shows what it has saved.
      try await commit(data, of: text)
    }
    host.signal(SIGTERM)
    let ended = try await host.end()
    #expect(ended.status == 0 && !ended.errors.contains("rror"), "\(ended)")
    let all = try await triggerHost("why", "configs", "a.conf", "--data", data)
    #expect(all.status == 0)
    let log = try await triggerHost("log", "export", "--data", data, "--trigger", "file-edit")
    for number in 1...saves { #expect(log.output.contains("\"mine \(number)\""), "\(number)") }
    let last = try await run(
      directory, "", "--data", data)
    #expect(last.status == 0)
    #expect(try contents(directory)["a.conf"] == (try await configs(data)["a.conf"]))
  }

  /// Returns when an edit of this content has been committed.
  private func commit(_ data: String, of text: String) async throws {
    for _ in 0..<200 {
      let log = try await triggerHost("log", "export", "--data", data, "--trigger", "file-edit")
      if log.output.contains("\"\(text)\"") { return }
    }
    try #require(Bool(false), "'\(text)' is in no commit")
  }

  /// Killed at any moment in the midst of write-outs: after the next start file and store are the same, all files of
  /// a commit are of one commit, and nothing of the host's own lies around.
  @Test func killedAtAnyMoment() async throws {
    let directory = try TemporaryDirectory(Self.files)
    try directory.write(
      "triggers/pair.lua",
      """
      return { on = { event = "pair" }, timeout = "1m", execute = function(event, ctx)
        local files, n = ctx:store("configs"), tostring(event.n)
        local intents = { files:put("p/1", n), files:put("p/2", n), files:put("q/3", n) }
        if event.n % 3 == 0 then intents[#intents + 1] = files:delete("q/4") else intents[#intents + 1] = files:put("q/4", n) end
        return intents
      end }
      """)
    let data = directory("data")
    let seed = UInt64.random(in: .min ... .max)
    var random = SplitMix64(seed: seed)
    for round in 0..<CrashTests.rounds / 3 {
      let events = (0..<2000).map {
        #"{"event": "pair", "id": \#($0), "payload": {"n": \#(round * 2000 + $0)}}"# + "\n"
      }
      try directory.write("events.jsonl", events.joined())
      let host = try RunningCommand(
        ["run", "--config", directory("host.yaml"), "--data", data, "--stdin", "--serve"],
        input: directory("events.jsonl"))
      _ = await host.lines(Int.random(in: 0...500, using: &random))
      host.signal(SIGKILL)
      let ended = try await host.end()
      #expect(!ended.errors.contains("rror"), "round \(round), seed \(seed): \(ended.errors.prefix(500))")
    }
    let last = try await run(directory, "", "--data", data, "--quiet")
    #expect(last.status == 0 && last.errors.isEmpty, "seed \(seed): \(last)")
    let files = try contents(directory)
    #expect(files == (try await configs(data)), "seed \(seed)")
    #expect(
      files["p/1"] != nil && files["p/1"] == files["p/2"] && files["p/1"] == files["q/3"], "seed \(seed)")
    let log = try await triggerHost("log", "export", "--data", data, "--trigger", "file-edit")
    #expect(log.lines.count == 1, "seed \(seed): nobody edited anything, but for what was there: \(log)")
  }

  /// Two hosts would take what the other writes for edits.
  @Test func aDirectoryHasOneHost() async throws {
    let directory = try TemporaryDirectory(Self.files)
    let config = directory("host.yaml")
    let host = try RunningCommand(["run", "--config", config, "--data", directory("data")])
    try await host.line(containing: "Serving")
    for options in [["--memory"], ["--data", directory("other")]] {
      let second = try await RunningCommand(["run", "--config", config, "--exit-when-idle"] + options).end()
      #expect(second.status == 1)
      #expect(second.errorLines[0].hasPrefix("\(config):5: store 'configs': "), "\(second)")
      #expect(second.errors.contains("conf: another host has this directory as a store"), "\(second)")
    }
    // Who only looks is let in.
    for command in [["check", directory.path], ["test", directory.path]] {
      let looked = try await RunningCommand(command).end()
      #expect(looked.errors.isEmpty && !looked.output.contains("another host"), "\(looked)")
    }
    host.signal(SIGKILL)
    _ = try await host.end()
    #expect(try await run(directory, "", "--data", directory("other")).status == 0)
  }

  @Test func mistakesHaveTheirLine() async throws {
    let directory = try TemporaryDirectory(Self.files)
    let config = directory("host.yaml")
    #expect(try await triggerHost("check", directory.path).status == 0)
    let inside = try await triggerHost(
      "run", "--config", config, "--data", directory("conf/data"), "--exit-when-idle")
    #expect(inside.status == 1)
    #expect(
      inside.errorLines[0].hasPrefix(
        "\(config):5: stores.configs.directory: `conf` has in it the data directory ("),
      "\(inside)")
    #expect(!FileManager.default.fileExists(atPath: directory("conf/data")))
    try directory.edit("host.yaml") { $0.replacing("conf\n", with: "config\n") }
    for command in [["check", directory.path], ["run", "--config", config, "--exit-when-idle"]] {
      let ended = try await RunningCommand(command).end()
      #expect(ended.status == 1)
      #expect(
        (ended.output + ended.errors).contains(
          "\(config):5: directory of store 'configs', `config` cannot be used: no such file or directory"),
        "\(ended)")
    }
  }
}
