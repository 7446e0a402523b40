import ArgumentParser
import Foundation
import HostConfig
import Synchronization
import TriggerCore
import TriggerHost
import TriggerRuntime

/// `exec --commit`: a host that takes one event and ends. What it had left to do is done as well, and what
/// comes of the event; schedules and feeds stand still.
extension Exec {
  func commitEvent() async throws {
    let payload = try event.map { try Self.json($0, "--event") } ?? [:]
    let (config, path) = try locate(script!)
    let (name, tree) = try trigger(path, config)
    var options = HostOptions()
    options.data = .directory(data!)
    options.durability = .group
    options.observer = { notice in
      // How a host goes on is nobody's business here.
      if ![.recovered, .logFailed, .stuck, .clock].contains(notice.code) { Output.say(notice) }
    }
    let recovered = try OpenedHost(config, options).recover()
    let scripts = try recovered.scripts(of: tree.contents)
    try refuse(path, waitingIn: scripts, config)
    let logs = Mutex<[Int64: (lines: [ExecutionLog], dropped: Int)]>([:])
    let host = try await recovered.start(scripts) { result, lines in
      logs.withLock { $0[result.seq] = (lines, result.logLinesDropped) }
    }
    let (results, own) = AsyncStream.makeStream(of: OperationResult.self)
    _ = try await host.queue.enqueue(Event(self.name ?? "exec", payload), toTrigger: name) { own.yield($0) }
    await host.queue.waitUntilIdle()
    await host.stop()
    own.finish()
    var seq: Int64?
    for await result in results { seq = result.seq }
    guard let seq, let record = try History(data!).record(seq) else {
      Output.problem(
        "the log has failed, and nothing is committed: \(host.queue.failure.map { "\($0)" } ?? "no reason given")"
      )
      throw ExitCode(1)
    }
    let (lines, dropped) = logs.withLock { $0[seq] ?? ([], 0) }
    let execution = Execution(
      record, logs: lines, dropped: dropped, scripts: ScriptPlaces(root: config.scripts.resolved))
    try execution.show(asJSON: json)
    if record.outcome != .committed { throw ExitCode(1) }
  }

  /// A host would not run the script as it is in the directory: it waits for another that does not load.
  private func refuse(_ path: String, waitingIn reload: ScriptReload, _ config: HostConfig) throws {
    let file = path.hasSuffix(".lua") ? path : "\(path).lua"
    guard let held = reload.held.first(where: { $0.path == file }) else { return }
    for problem in reload.problems { Output.say(Finding(problem, in: config.scripts.resolved)) }
    Output.problem("scripts: \(held.text(of: reload.tree))")
    throw ExitCode(1)
  }
}
