import Synchronization
import TriggerCore
import TriggerHost

/// A part of the log, read once for all who follow it there.
struct LogPage: Sendable {
  struct Entry: Sendable {
    let record: LogRecord
    /// Its JSON, in one line.
    let json: [UInt8]
  }

  /// Seqs that were let go before they were read; empty as a rule.
  var lost: Range<Int64> = 0..<0
  var entries: [Entry] = []
  /// Everything up to this seq is read. Who goes on does so behind it.
  var end: Int64
}

/// Reads the log by position. Who follows it keeps a number, and nothing else is kept for anybody. Any thread.
final class LogPages: Sendable {
  /// Followers at the end of the log all read the same few pages.
  private static let kept = 4
  /// Bytes of JSON after which a page ends.
  private static let pageBytes = 1 << 20

  private let cache = Mutex<[(after: Int64, page: LogPage)]>([])

  /// The page behind a seq.
  ///
  /// - Parameter newest: nothing later is given: it is visible, and later than `seq`.
  /// - Throws: as `HostReader.read` does.
  func page(after seq: Int64, through newest: Int64, _ reader: HostReader) async throws -> LogPage {
    if let page = known(seq) { return page }
    return try await reader.read { [self] log in
      if let page = known(seq) { return page }
      let page = try Self.read(log, after: seq, through: newest)
      if page.end == seq { return page }
      cache.withLock { cache in
        cache.append((seq, page))
        if cache.count > Self.kept { cache.removeFirst() }
      }
      return page
    }
  }

  private func known(_ seq: Int64) -> LogPage? {
    cache.withLock { $0.last { $0.after == seq }?.page }
  }

  private struct Full: Error {}

  private static func read(_ log: LogReader, after seq: Int64, through newest: Int64) throws -> LogPage {
    var (page, bytes) = (LogPage(end: seq), 0)
    var position = LogPosition(seq: seq)
    do {
      let lost = try log.visitBlock(after: &position, through: newest) { view, _ in
        // The rest of a block may not be visible yet.
        if view.seq > newest || bytes > pageBytes { throw Full() }
        let record = try LogRecord(view)
        let json = record.json.jsonBytes
        bytes += json.count
        page.entries.append(LogPage.Entry(record: record, json: json))
        page.end = view.seq
      }
      if let lost, !lost.isEmpty { page.lost = lost }
    } catch is Full {}
    if let first = page.entries.first?.record.seq, first > seq + 1 { page.lost = seq + 1..<first }
    return page
  }
}

extension RecordFilter {
  static let names = ["trigger", "outcome", "kind", "store", "key", "prefix", "topic"]

  /// - Throws: `Problem`, `bad_query`.
  init(_ query: Query) throws {
    self.init()
    trigger = query["trigger"]
    outcome = try query.word(
      "outcome",
      ["committed": Outcome.committed, "failed": .failed, "deferred": .deferred, "skipped": .skipped])
    kind = try query.word(
      "kind",
      [
        "event": EventKind.event, "data": .data, "message": .message, "commit": .commit, "cron": .cron,
      ])
    (store, key, prefix, topic) = (query["store"], query["key"], query["prefix"], query["topic"])
    if store == nil, key != nil || prefix != nil {
      throw Problem(.badQuery, "'key' and 'prefix' go with 'store'")
    }
  }
}
