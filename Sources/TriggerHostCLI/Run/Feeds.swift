import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost

/// Rows that feeds have sent, and rows that could not be read.
struct FeedCounts: Sendable {
  var sent = 0
  var bad = 0
}

extension Host {
  /// Sends every feed's rows as events, all feeds at once, each at its own rate. Bad rows are reported and
  /// passed over.
  func feed() async throws {
    let feeds = try config.feeds.map { settings in
      do { return (settings, try Feed(settings)) } catch {
        printError("\(error)")
        throw ExitCode(1)
      }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (settings, feed) in feeds {
        // The feed belongs to its task from here on.
        nonisolated(unsafe) let feed = feed
        group.addTask { try await self.send(feed, settings) }
      }
      try await group.waitForAll()
    }
  }

  private func send(_ first: Feed, _ settings: FeedSettings) async throws {
    let started = ContinuousClock.now
    var (feed, count, countAtOpen) = (first, 0, 0)
    while true {
      try Task.checkCancellation()
      guard let row = feed.next() else {
        // A file without rows would be read for ever.
        guard settings.isRepeating, count > countAtOpen else { return }
        feed = try Feed(settings)
        countAtOpen = count
        continue
      }
      if let rate = settings.rate {
        try await Task.sleep(until: started + .seconds(Double(count) / rate), clock: .continuous)
      }
      count += 1
      switch row.record {
      case .failure(let problem):
        rows.withLock { $0.bad += 1 }
        printError("\(problem)")
      case .success(let record):
        let payload: Value
        do { payload = try content(of: record, settings) } catch {
          rows.withLock { $0.bad += 1 }
          printError("\(settings.file.text):\(row.line): \(error)")
          continue
        }
        let kind = EventKind(rawValue: settings.kind.rawValue) ?? .data
        // Events of one feed keep their order.
        try await admit(
          Event(settings.event, payload, kind: kind, source: StableHash.of(settings.name)))
        rows.withLock { $0.sent += 1 }
      }
    }
  }

  /// A feed waits for room whatever the configuration says: it has nobody to refuse to.
  private func admit(_ event: Event) async throws {
    while true {
      do {
        try await queue.enqueue(event)
        return
      } catch is QueueFull { await queue.waitForRoom() }
    }
  }

  private func content(of record: FeedRecord, _ settings: FeedSettings) throws -> Value {
    var fields = settings.set
    switch record {
    case .cells(let cells): for (name, value) in cells { fields[name] = value }
    case .json(let text):
      let value = try JSON.parse(text)
      guard case .map(let parsed) = value else { return value }
      fields.merge(parsed) { $1 }
    }
    return .map(fields)
  }
}
