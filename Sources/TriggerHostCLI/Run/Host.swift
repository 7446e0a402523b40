import ArgumentParser
import Foundation
import HostConfig
import Synchronization
import TriggerCore
import TriggerHost

/// A host made from its configuration: stores, scripts, feeds and schedules around one engine.
final class Host: Sendable {
  let coordinator: CommitCoordinator
  let queue: TriggerQueue
  private let config: HostConfig
  private let scheduler: TriggerScheduler
  private let badRows = Mutex(0)
  let started = ContinuousClock.now

  init(config: HostConfig, workers: Int?) throws {
    self.config = config
    var settings = EngineConfiguration()
    if let count = workers ?? config.workers {
      guard (1...64).contains(count) else { throw ValidationError("workers must be 1 to 64, got \(count)") }
      settings.workers = count
    }
    settings.queueCapacity = config.queue.capacity
    settings.whenFull = config.queue.whenFull == .wait ? .wait : .refuse
    settings.strictOrder = config.order == .strict
    settings.grace = config.limits.grace
    settings.hold = config.limits.hold
    settings.strictStores = config.strictStores
    coordinator = CommitCoordinator(settings)
    for name in config.stores.keys.sorted() {
      try coordinator.register(VersionedStore(name, backend: MemoryStoreBackend()))
    }
    queue = TriggerQueue(coordinator)
    scheduler = TriggerScheduler(queue)
    let levels = HostConfig.LogLevel.allCases.map(\.rawValue)
    let threshold = levels.firstIndex(of: config.logLevel.rawValue) ?? 0
    queue.observe { result, logs in
      for line in logs where (levels.firstIndex(of: line.level) ?? threshold) >= threshold {
        printLine("[\(result.trigger) \(result.identity)] \(line.level): \(line.message)")
      }
      if let error = result.error { printError("[\(result.trigger) \(result.identity)] \(error)") }
    }
    let tree = try loadScripts()
    addSchedules(tree)
    queue.start()
    scheduler.start()
  }

  private func loadScripts() throws -> ScriptTree {
    let directory = ScriptDirectory.read(config.scripts.resolved, name: config.scripts.text)
    try report(directory.report)
    let files = Dictionary(uniqueKeysWithValues: directory.files.map { ($0.path, $0.bytes) })
    var defaults = TriggerOptions()
    defaults.timeout = config.limits.timeout
    defaults.memory = config.limits.memory
    let tree = ScriptTree(files: files, defaults: defaults)
    for problem in tree.problems { printError("\(problem)") }
    if tree.triggers.isEmpty { printError("\(config.scripts.text): no trigger here can run") }
    queue.bind([], scripts: tree)
    printLine("\(tree.triggers.count) triggers: \(tree.triggers.map(\.name).joined(separator: ", "))")
    return tree
  }

  func stop() {
    scheduler.stop()
    queue.stop()
  }

  // MARK: Feeds

  /// Sends every feed's rows as events, one feed after another. Bad rows are reported and passed over.
  func feed() async throws {
    for settings in config.feeds {
      let feed: Feed
      do { feed = try Feed(settings) } catch {
        printError("\(error)")
        throw ExitCode(1)
      }
      let source = UInt64(bitPattern: Int64(settings.name.hashValue))
      let pause = settings.rate.map { Duration.seconds(1 / $0) }
      while let row = feed.next() {
        switch row.record {
        case .failure(let problem):
          badRows.withLock { $0 += 1 }
          printError("\(problem)")
        case .success(let record):
          let kind = EventKind(rawValue: settings.kind.rawValue) ?? .data
          try await queue.enqueue(
            Event(settings.event, try payload(record, settings), kind: kind, source: source))
        }
        if let pause { try await Task.sleep(for: pause) }
      }
    }
  }

  private func payload(_ record: FeedRecord, _ settings: FeedSettings) throws -> Value {
    var fields = settings.set
    switch record {
    case .cells(let cells): for (name, value) in cells { fields[name] = value }
    case .json(let text):
      guard case .map(let parsed) = try JSON.parse(text) else { return try JSON.parse(text) }
      fields.merge(parsed) { $1 }
    }
    return .map(fields)
  }

  // MARK: Schedules

  /// The configuration's jobs, and those that scripts ask for with their own `on`.
  private func addSchedules(_ tree: ScriptTree) {
    scheduler.observe { printError("\($0)") }
    for entry in config.schedules { add(entry.job, from: "\(entry.file):\(entry.line)") }
    for script in tree.triggers {
      for job in script.schedules { add(job, from: "\(script.path):1") }
    }
  }

  private func add(_ job: ScheduledJob, from place: String) {
    do { try scheduler.add(job) } catch { return printError("\(place): \(error)") }
    if case .at(let time) = job.rule, scheduler.nextFire(of: job.name) == nil {
      printError("\(place): warning: schedule '\(job.name)' does not fire: \(time) is past")
    }
  }

  // MARK: Summary

  func summary() -> String {
    let stats = coordinator.stats
    let seconds = (ContinuousClock.now - started) / .seconds(1)
    let latency = stats.latency[.normal] ?? LatencyHistogram()
    var lines = [
      "",
      "seqs \(stats.currentSeq): \(stats.committed) committed, \(stats.failed) failed, "
        + "\(stats.skipped) skipped, \(stats.deferred) deferred; \(stats.conflicts) conflicts",
      String(
        format: "%.2f s, %.0f commits/s; admission to commit p50 %.2f ms, p99 %.2f ms", seconds,
        Double(stats.committed) / seconds, Double(latency.percentile(50)) / 1e6,
        Double(latency.percentile(99)) / 1e6),
    ]
    for name in coordinator.storeNames {
      guard let store = try? coordinator.store(name) else { continue }
      lines.append("\(store)")
      for item in (try? store.scan())?.prefix(2) ?? [] {
        lines.append("  \(item.key) = \(String("\(item.value)".prefix(140)))")
      }
    }
    return lines.joined(separator: "\n")
  }
}
