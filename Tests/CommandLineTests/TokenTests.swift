import Foundation
import Testing

/// `trigger-host token`: what it makes, and where.
@Suite struct TokenTests {
  private let form = #/thk_([0-9a-hjkmnp-tv-z]{8})_[A-Za-z0-9_-]{47}\n/#

  @Test func aTokenIsMadeListedAndRevoked() async throws {
    let directory = try TemporaryDirectory(["host.yaml": "data: kept\n", "triggers/a.lua": Script.good])
    let here = directory.path
    #expect(try await triggerHost("token", "list", in: here).output == "There is no token.\n")
    let made = try await triggerHost(
      "token", "create", "--scope", "events:bars/*", "--scope", "read", "--name", "feed", "--expires", "30d",
      in: here)
    #expect(made.status == 0, "\(made)")
    let id = String(try #require(try form.wholeMatch(in: made.output), "\(made)").1)
    #expect(made.errors.contains("Token \(id) 'feed': events:bars/* read, until "))
    #expect(made.errors.contains("trigger-host token revoke \(id) takes it back"))
    #expect(!made.errors.contains("thk_"))
    #expect(FileManager.default.fileExists(atPath: directory("kept/access/tokens.json")))
    #expect(try !directory.read("kept/access/tokens.json").contains(made.output.dropFirst(13).prefix(43)))

    let list = try await triggerHost("token", "list", in: here)
    #expect(
      list.lines.count == 1 && list.lines[0].hasPrefix("\(id) 'feed'  events:bars/* read  made "), "\(list)")
    #expect(list.lines[0].hasSuffix(", not used yet"))
    let revoked = try await triggerHost("token", "revoke", id, "--data", directory("kept"))
    #expect(revoked.output == "Token \(id) 'feed' counts no more.\n", "\(revoked)")
    let json = try #require(try await triggerHost("token", "list", "--json", in: here).jsonLines().first)
    #expect(
      json["state"] as? String == "revoked" && json["scopes"] as? [String] == ["events:bars/*", "read"])
    #expect(json["last_used"] is NSNull && json["revoked"] is String && json["sha256"] == nil)
  }

  @Test func asJSON() async throws {
    let directory = try TemporaryDirectory()
    let made = try await triggerHost(
      "token", "create", "--scope", "admin", "--json", "--data", directory.path)
    let object = try made.jsonObject()
    #expect("\(object["token"] as? String ?? "")\n".wholeMatch(of: form) != nil, "\(made)")
    #expect(
      object["name"] as? String == object["id"] as? String && object["expires"] is NSNull && made.errors == ""
    )
  }

  @Test func withoutDataTokensAreBesideHostYaml() async throws {
    let directory = try TemporaryDirectory(["host.yaml": "", "triggers/a.lua": Script.good])
    #expect(try await triggerHost("token", "create", "--scope", "read", in: directory.path).status == 0)
    #expect(FileManager.default.fileExists(atPath: directory("access/tokens.json")))
  }

  /// The first token may be made before the host runs for the first time, others while it runs.
  @Test func aHostMayHaveTheDirectory() async throws {
    let directory = try TemporaryDirectory(["triggers/a.lua": Script.good])
    let data = directory("data")
    #expect(try await triggerHost("token", "create", "--scope", "read", "--data", data).status == 0)
    let host = try RunningCommand(["run", directory.path, "--data", data])
    try await host.line(containing: "Serving")
    #expect(try await triggerHost("token", "create", "--scope", "read", "--data", data).status == 0)
    #expect(try await triggerHost("token", "list", "--data", data).lines.count == 2)
    let ended = try await host.insist(SIGTERM)
    #expect(ended.status == 0 || ended.status == 130, "\(ended)")
    #expect(try await triggerHost("log", "verify", "--data", data).status == 0)
  }

  @Test(arguments: [
    (["create", "--data", "."], 2, "Missing expected argument '--scope"),
    (["create", "--scope", "reed", "--data", "."], 2, "the scope `reed` is not known"),
    (["create", "--scope", "events:", "--data", "."], 2, "names no event"),
    (
      ["create", "--scope", "read", "--expires", "soon", "--data", "."], 2,
      "expected a span like 30d or 12h, or a time"
    ),
    (
      ["create", "--scope", "read", "--expires", "0s", "--data", "."], 2,
      "expected a span like 30d or 12h, or a time"
    ),
    (["create", "--scope", "read", "--expires", "90000d", "--data", "."], 2, "after the year 2262"),
    (
      ["create", "--scope", "read", "--expires", "2020-01-01T00:00:00Z", "--data", "."], 1,
      "expired from the start"
    ),
    (["create", "--scope", "read", "--name", "", "--data", "."], 1, "1 to 128 bytes"),
    (["create", "--scope", "read"], 2, "Say whose tokens: --data DIR"),
    (["list"], 2, "Say whose tokens: --data DIR"),
    (["revoke", "00000000", "--data", "."], 1, "no token has the id `00000000`"),
    (["revoke", "--data", "."], 2, "Missing expected argument '<ids> ...'"),
  ])
  func mistakesAreSaid(_ arguments: [String], _ status: Int, _ message: String) async throws {
    let directory = try TemporaryDirectory()
    let ended = try await RunningCommand(["token"] + arguments, in: directory.path).end()
    #expect(ended.status == status && ended.output == "" && ended.errors.contains(message), "\(ended)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
  }

  @Test func allIdsAreRevokedOrNone() async throws {
    let directory = try TemporaryDirectory()
    let made = try await triggerHost("token", "create", "--scope", "admin", "--data", directory.path)
    let id = String(made.output.dropFirst(4).prefix(8))
    let ended = try await triggerHost("token", "revoke", id, "zzzzzzzz", "--data", directory.path)
    #expect(ended.status == 1 && ended.output == "" && ended.errors.contains("`zzzzzzzz`"))
    #expect(
      try await triggerHost("token", "list", "--data", directory.path).lines[0].contains("revoked") == false)
  }
}
