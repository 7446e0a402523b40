import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerServer

@Suite(.timeLimit(.minutes(10))) struct ServiceTests {
  @Test func othersAreLetInWhenThatIsSaidAlone() async throws {
    var options = ServerOptions()
    for host in ["0.0.0.0", "::", "example.org", "127.0.0.1.example.org"] {
      options.host = host
      #expect(throws: AccessError.self) { try options.access() }
    }
    for host in ["127.0.0.1", "127.1.2.3", "::1", "localhost"] {
      options.host = host
      #expect(throws: Never.self) { try options.access() }
    }
    options.host = "0.0.0.0"
    options.isInsecure = true
    #expect(throws: Never.self) { try options.access() }
  }

  @Test func aTakenPortIsSaid() async throws {
    try await serving { served in
      var options = ServerOptions()
      options.port = served.port
      let second = try HostServer(served.host, options)
      await #expect(throws: CannotListen.self) { try await second.run() }
      await #expect(throws: CannotListen.self) { try await second.listening() }
      await second.stop()
    }
  }

  @Test func whatIsNotInOrderIsNamed() async throws {
    try await serving { served in
      #expect(try await served.ask("GET", "/healthz").status == 200)
      #expect(try await served.ask("GET", "/readyz").status == 200)
      let page = try await served.ask("GET", "/")
      #expect(page.status == 200 && page.body.contains("<li>visit</li>"), "\(page)")
      #expect(try await served.ask("HEAD", "/healthz").status == 200)
    }
    let broken = ServedHost.scripts.merging(["broken": "return {"]) { $1 }
    try await serving(broken) { served in
      let answer = try await served.ask("GET", "/readyz")
      #expect(answer.status == 503 && answer["code"] == "not_ready", "\(answer)")
      #expect(
        answer.body.contains(#""code":"script""#) && answer.body.contains(#""name":"broken.lua""#),
        "\(answer)")
      #expect(try await served.ask("GET", "/healthz").status == 200)
    }
  }

  /// An answer that is under way is given; one that will never come is not waited for.
  @Test func theEndWaitsForAnswersThatCome() async throws {
    let gate = """
      return { on = { event = "slow" }, timeout = "10s", execute = function(event, ctx)
        local sum = 0
        for i = 1, 20000000 do sum = sum + i end
        return { ctx:store("sums"):put("sum", sum) }
      end }
      """
    let served = try await ServedHost(["slow": gate])
    async let slow = served.ask("POST", "/v1/events/slow", "{}")
    // On a busy machine it may be over before anybody looks.
    try await wait(for: "the execution") { [coordinator = served.host.coordinator] in
      await coordinator.waitUntil { $0.undecided > 0 || $0.committed > 0 }
    }
    try await served.stop()
    let answer = try await slow
    #expect(answer.status == 200 && answer.body.contains("committed"), "\(answer)")
    await #expect(throws: (any Error).self) { try await served.ask("GET", "/healthz") }
  }

  /// The page on HTTP says which codes there are, no less and no more.
  @Test func everyCodeIsExplained() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Sources/TriggerHost/Documentation.docc/HTTP.md").standardized
    let page = try String(contentsOf: file, encoding: .utf8)
    let section = try #require(page.components(separatedBy: "\n## Refusals\n").last)
    let rows = section.components(separatedBy: "\n## ")[0].split(separator: "\n").filter {
      $0.hasPrefix("| `")
    }
    let explained = rows.map { row in
      row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    #expect(Set(explained.map { $0[0] }) == Set(Problem.Code.allCases.map { "`\($0.rawValue)`" }))
    for row in explained {
      let code = try #require(Problem.Code.allCases.first { "`\($0.rawValue)`" == row[0] })
      #expect(row[1] == "\(code.status.code)", "\(row)")
    }
  }
}
