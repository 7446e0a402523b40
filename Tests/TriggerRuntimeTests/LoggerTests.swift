import Logging
import Testing
import TriggerCore
import TriggerRuntime

/// What a host says, as its embedder's log has it.
@Suite struct LoggerTests {
  private struct Line: Sendable {
    var level: Logger.Level
    var text: String
    var metadata: Logger.Metadata
  }

  private struct Recording: LogHandler {
    let heard: Heard<Line>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      heard.hear(Line(level: event.level, text: "\(event.message)", metadata: event.metadata ?? [:]))
    }
  }

  @Test func whatAScriptNamesPassesForNothingOfTheHosts() throws {
    let heard = Heard<Line>()
    let logger = Logger(label: "host", factory: { _ in Recording(heard: heard) })
    HostNotice(
      .log, level: .warning, message: "late", origin: .init(trigger: "rsi", seq: 7, attempt: 2),
      fields: ["code": "log_failed"]
    ).log(to: logger)
    HostNotice(.scriptsInForce, level: .info, message: "in force", fields: ["seq": 9, "tree": 2]).log(
      to: logger)
    let (script, host) = (heard.all[0], heard.all[1])
    #expect(script.level == .warning && script.text == "late")
    #expect(
      script.metadata == [
        "code": "log", "trigger": "rsi", "seq": "7", "attempt": "2", "fields": #"{"code":"log_failed"}"#,
      ])
    #expect(host.metadata == ["code": "scripts_in_force", "seq": "9", "tree": "2"])
  }
}
