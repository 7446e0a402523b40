import Foundation
import Testing

/// Limits and stores are not in the log: what is executed on it again has those of the host.yaml here.
@Suite struct KeptLimitsTests {
  private static let files: KeyValuePairs = [
    "host.yaml": """
    data: data
    order: strict
    strict_stores: true
    limits: { emits: 5 }
    stores:
      conf: { backend: files, directory: conf }
      unused: {}
    """,
    "conf/a.txt": "1",
    "triggers/burst.lua": """
    return { on = { event = "burst" }, execute = function(event, ctx)
      local intents = {}
      for i = 1, event.n do intents[i] = ctx:emit("heard") end
      return intents
    end }
    """,
    "triggers/save.lua": """
    return { on = { event = "save" }, execute = function(event, ctx)
      return { ctx:store("conf"):put(event.key, "x") }
    end }
    """,
    "triggers/other.lua": """
    return { on = { event = "other" }, execute = function(event, ctx)
      return { ctx:store("mistyped"):put("a", 1) }
    end }
    """,
    "in.jsonl": [
      #"{"event": "burst", "payload": {"n": 2}, "source": "s"}"#,
      #"{"event": "burst", "payload": {"n": 6}, "source": "s"}"#,
      #"{"event": "save", "payload": {"key": "../b"}, "source": "s"}"#,
      #"{"event": "other", "source": "s"}"#,
    ].map { $0 + "\n" }.joined(),
  ]

  /// What a host with these limits has kept, and the seqs that failed by their codes.
  private func keep() async throws -> (directory: TemporaryDirectory, failed: [String: Int]) {
    let directory = try TemporaryDirectory(Self.files)
    let ended = try await RunningCommand(
      ["run", "--stdin", "--workers", "1"], in: directory.path, input: directory("in.jsonl")
    ).end()
    try #require(ended.status == 0, "\(ended)")
    let records = try await triggerHost(
      "log", "export", "--outcome", "failed", in: directory.path
    ).jsonLines()
    let failed = records.compactMap { record -> (String, Int)? in
      guard let code = record["code"] as? String, let seq = record["seq"] as? Int else { return nil }
      return (code, seq)
    }
    return (directory, Dictionary(uniqueKeysWithValues: failed))
  }

  @Test func aSoundLogIsVerified() async throws {
    let (directory, failed) = try await keep()
    #expect(failed.keys.sorted() == ["emits", "error", "refused"])
    for data in [[], ["--data", "data"]] {
      let verified = try await RunningCommand(["replay", "--verify"] + data, in: directory.path).end()
      #expect(verified.status == 0, "\(verified)")
      let other = try await RunningCommand(
        ["replay", "--with", "triggers", "--fail-on-diff"] + data, in: directory.path
      ).end()
      #expect(other.status == 0, "\(other)")
    }
    // Scripts that have no host.yaml beside them.
    try FileManager.default.createDirectory(
      atPath: directory("far/away"), withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      atPath: directory("triggers"), toPath: directory("far/away/triggers"))
    let far = try await triggerHost(
      "replay", "--with", "far/away/triggers", "--fail-on-diff", in: directory.path)
    #expect(far.status == 0, "\(far)")
    // Elsewhere nothing says what the limits were.
    let usual = try await triggerHost(
      "replay", "--verify", "--data", directory("data"), in: directory("conf"))
    #expect(usual.status == 1 && usual.output.contains("the usual ones were taken"), "\(usual)")
    try directory.edit("host.yaml") { $0.replacing("emits: 5", with: "emits: 6") }
    let changed = try await triggerHost("replay", "--verify", in: directory.path)
    #expect(changed.status == 1 && changed.output.contains("those of host.yaml were taken"), "\(changed)")
  }

  @Test func aTrialFailsAsItDid() async throws {
    let (directory, failed) = try await keep()
    for (code, seq) in failed {
      for scripts in [[], ["--scripts", "triggers"], ["--config", "host.yaml"]] {
        let ended = try await RunningCommand(
          ["exec", "--data", "data", "--seq", "\(seq)", "--json"] + scripts, in: directory.path
        ).end()
        #expect(ended.status == 1, "\(code) \(scripts): \(ended)")
        #expect(try ended.jsonObject()["code"] as? String == code, "\(scripts)")
      }
    }
    // A script that lies elsewhere.
    try directory.write("far/away/burst.lua", directory.read("triggers/burst.lua"))
    let far = try await triggerHost(
      "exec", "far/away/burst.lua", "--data", "data", "--event", #"{"n": 6}"#, "--json", in: directory.path)
    #expect(try far.jsonObject()["code"] as? String == "emits", "\(far)")
  }

  @Test func theReplHasTheStoresOfTheHostHere() async throws {
    let (directory, _) = try await keep()
    for scripts in ["", " --scripts triggers"] {
      let ended = try await RunningCommand(
        shell: "echo 'store \"unused\":get \"a\"' | \"$host\" repl --data data\(scripts)", in: directory.path
      ).end()
      #expect(ended.lines == ["nil"] && !ended.errors.contains("nothing was ever"), "\(scripts): \(ended)")
    }
  }
}
