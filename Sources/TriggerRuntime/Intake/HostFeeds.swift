import Foundation
import HostConfig
import ServiceLifecycle
import Synchronization
import TriggerCore
import TriggerHost

/// Rows that feeds have sent, rows that could not be read, and rows that an earlier run had sent.
package struct FeedCounts: Sendable {
  package var sent = 0
  package var bad = 0
  package var skipped = 0
}

/// The files whose rows become events.
package final class HostFeeds: Service {
  private let config: HostConfig
  private let queue: TriggerQueue
  private let storage: HostStorage?
  private let notices: Notices
  private let counts = Mutex(FeedCounts())

  init(_ config: HostConfig, _ queue: TriggerQueue, _ storage: HostStorage?, _ notices: Notices) {
    (self.config, self.queue, self.storage, self.notices) = (config, queue, storage, notices)
  }

  /// Rows so far.
  package var rows: FeedCounts { counts.withLock { $0 } }

  /// Sends every feed's rows as events, all feeds at once, each at its own rate. Bad rows are reported and
  /// passed over.
  ///
  /// - Throws: `HostNotReady` when a file cannot be read, which has been said; `QueueStopped` or
  ///   `CancellationError` when the host stops.
  package func run() async throws {
    let feeds = try config.feeds.map { settings in
      do {
        let feed = try Feed(settings)
        for note in feed.notes { notices.say(.info, "\(note)") }
        return (settings, feed)
      } catch {
        notices.problem("\(error)")
        throw HostNotReady()
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

  /// Where a feed goes on; nil when nothing is kept.
  private func progress(of feed: FeedSettings) -> RowProgress? {
    guard let storage else { return nil }
    return RowProgress(storage.progress.feeds[feed.name] ?? FeedRows())
  }

  private func send(_ first: Feed, _ settings: FeedSettings) async throws {
    let started = ContinuousClock.now
    let progress = progress(of: settings)
    var (feed, number, atOpen, sent) = (first, Int64(0), Int64(0), 0)
    while true {
      try Task.checkCancellation()
      guard let row = feed.next() else {
        // A file without rows would be read for ever.
        guard settings.isRepeating, number > atOpen else { return }
        feed = try Feed(settings)
        // Whole passes that are behind need no reading.
        let pass = number - atOpen
        if let progress, pass > 0 { number += max(0, (progress.floor - number) / pass) * pass }
        atOpen = number
        continue
      }
      number += 1
      if progress?.isTaken(number) == true {
        counts.withLock { $0.skipped += 1 }
        continue
      }
      if let rate = settings.rate {
        try await Task.sleep(until: started + .seconds(Double(sent) / rate), clock: .continuous)
      }
      sent += 1
      guard let payload = payload(of: row, settings) else {
        progress?.pass(number)
        continue
      }
      let kind = EventKind(rawValue: settings.kind.rawValue) ?? .data
      // Events of one feed keep their order.
      var event = Event(settings.event, payload, kind: kind, source: StableHash.of(settings.name))
      if let progress { event.key = .row(feed: settings.name, number: number, floor: progress.floor) }
      try await admit(event, number, progress)
      counts.withLock { $0.sent += 1 }
    }
  }

  /// Nil, and said, for a row that cannot be read.
  private func payload(of row: FeedRow, _ settings: FeedSettings) -> Value? {
    let fault: String
    switch row.record {
    case .failure(let problem): fault = "\(problem)"
    case .success(let record):
      do { return try content(of: record, settings) } catch {
        fault = "\(settings.file.text):\(row.line): \(error)"
      }
    }
    counts.withLock { $0.bad += 1 }
    notices.warning("\(fault)", code: .row)
    return nil
  }

  /// A feed waits for room whatever the configuration says: it has nobody to refuse to.
  private func admit(_ event: Event, _ row: Int64, _ progress: RowProgress?) async throws {
    while true {
      do {
        guard let progress else {
          try await queue.enqueue(event)
          return
        }
        let receipt = progress.receipt(of: row)
        receipt.expect(try await queue.enqueue(telling: { receipt.add($0) }, event))
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
