import Testing
import TriggerCore
import TriggerHost
import TriggerRuntime

/// Public things of a host that nothing else here uses by itself.
@Suite(.timeLimit(.minutes(10))) struct PublicRuntimeTests {
  private struct Flaky: Trigger {
    var options: TriggerOptions {
      var options = TriggerOptions(on: [EventPattern(.event, "x")])
      options.retry = RetryPolicy(attempts: 2, backoff: .seconds(3600))
      return options
    }
    func execute() throws -> [CommitIntent] { throw CancellationError() }
  }

  /// A host says what fails, and what it leaves undone.
  @Test func whatIsLeftUndone() async throws {
    let heard = Heard<HostNotice>()
    let observer: HostObserver = { heard.hear($0) }
    var options = HostOptions()
    options.observer = observer
    options.triggers = [Flaky()]
    let recovered: RecoveredHost = try OpenedHost(EngineConfiguration(workers: 1), options).recover()
    #expect(recovered.coordinator.storeNames.isEmpty)
    let host = try recovered.start(scripts: nil)
    #expect(try await host.queue.perform(Event("x")).map(\.outcome) == [.failed])
    let end = await host.stop(within: .zero)
    #expect(end.delayed == 1 && end.queued == 0 && end.running.isEmpty)
    #expect(heard.all.allSatisfy { !$0.isScripts })
    let origin = HostNotice.Origin(trigger: "t", seq: 1, attempt: 2)
    let notice = HostNotice(.log, level: .info, message: "hello", origin: origin)
    #expect(notice.isScripts && notice.origin == origin)
  }
}
