import HostConfig
import Logging
import Testing
import TriggerHost
import TriggerReview
import TriggerRuntime

/// Who judges scripts that are saved is handed in; a host runs without.
@Suite(.timeLimit(.minutes(10))) struct JudgeTests {
  private static let files: KeyValuePairs<String, String> = [
    "host.yaml": "scripts: { directory: triggers, watch: off, verify_last: 3 }\ndata: data\n",
    "triggers/visit.lua": visit("first"),
  ]

  private static func visit(_ word: String) -> String {
    "return { on = { event = 'visit' }, execute = function(_, ctx) return { ctx:store('s'):put('k', '\(word)') } end }"
  }

  private struct Judge: ScriptJudging {
    func doubts(about update: ScriptTree.Update, in config: HostConfig) -> [Finding] {
      update.files.modified.map { Finding(.warning, $0, line: 1, "doubtful") }
    }

    func rehearse(
      _ tree: ScriptTree, last count: Int64, in data: String, _ config: HostConfig
    ) throws -> [(level: Logger.Level, text: String)] { [(.info, "\(count) would do the same")] }
  }

  @Test func aJudgeIsAskedAboutWhatIsSaved() async throws {
    let project = try ProjectDirectory(Self.files)
    let heard = Heard<HostNotice>()
    var options = HostOptions(heard)
    options.judge = ScriptJudge(Judge())
    let host = try await OpenedHost(HostPlaces(directory: project.path), options).recover().start()
    try project.write("triggers/visit.lua", Self.visit("second"))
    host.reload()
    _ = try await heard.first { $0.text == "visit.lua:1: warning: doubtful" }
    await host.stop()
    let texts = heard.all.map(\.text)
    let places = [
      "scripts: 3 would do the same", "scripts: tree 2 in force", "visit.lua:1: warning: doubtful",
    ].map {
      text in texts.firstIndex { $0.hasPrefix(text) }
    }
    #expect(places.allSatisfy { $0 != nil } && places.compactMap { $0 } == places.compactMap { $0 }.sorted())
    #expect(!texts.contains { $0.contains("verify_last") })
  }

  /// What `run` has, for any program: in one line, through the libraries' products.
  @Test func theWorkshopJudges() async throws {
    let project = try ProjectDirectory(Self.files)
    let heard = Heard<HostNotice>()
    var options = HostOptions(heard)
    options.judge = .workshop
    let host = try await OpenedHost(HostPlaces(directory: project.path), options).recover().start()
    _ = try await host.queue.perform(Event("visit"))
    try project.write(
      "triggers/visit.lua",
      "return { on = { event = 'visit' }, execute = function(_, ctx) return { ctx:store('s'):put('k', word) } end }"
    )
    host.reload()
    _ = try await heard.first { $0.text.hasPrefix("\(project.path)/triggers/visit.lua:1: warning: ") }
    await host.stop()
    let texts = heard.all.map(\.text)
    let rehearsed =
      "scripts: 1 recent operation executed with the new scripts: 0 would fail that did not, 1 would differ"
    #expect(texts.contains(rehearsed), "\(texts)")
    #expect(!texts.contains { $0.contains("verify_last does nothing") })
  }

  @Test func withoutAJudgeThatIsSaid() async throws {
    let project = try ProjectDirectory(Self.files)
    let heard = Heard<HostNotice>()
    let host = try await OpenedHost(HostPlaces(directory: project.path), HostOptions(heard)).recover().start()
    #expect(heard.all.contains { $0.text.hasPrefix("warning: scripts.verify_last does nothing here") })
    try project.write("triggers/visit.lua", Self.visit("second"))
    host.reload()
    _ = try await heard.first(.scriptsInForce)
    await host.stop()
  }
}
