import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization
import TriggerCore
import TriggerHost

/// `GET /v1/log`: records as JSON Lines up to now, or as server-sent events from now on.
struct LogRoutes: Sendable {
  let reader: HostReader
  let access: AccessControl
  private let pages = LogPages()

  init(reader: HostReader, access: AccessControl) { (self.reader, self.access) = (reader, access) }

  func log(_ request: Request, _ context: ServerContext) async throws -> Response {
    let query = try request.query(
      "from", "limit", "trigger", "outcome", "kind", "store", "key", "prefix", "topic")
    let filter = try RecordFilter(query)
    let from = try query.integer("from", in: 1 ... .max)
    let limit = try query.integer("limit", in: 1 ... .max) ?? .max
    if Self.wantsEvents(request) {
      let begin = try Self.lastEvent(request) ?? from.map { $0 - 1 } ?? reader.newest
      return try await events(after: begin, filter, limit, context.caller)
    }
    return try await lines(from: from, filter, limit)
  }

  static func wantsEvents(_ request: Request) -> Bool {
    request.headers[values: .accept].contains { $0.lowercased().contains("text/event-stream") }
  }

  /// - Throws: `Problem`, `bad_request`.
  private static func lastEvent(_ request: Request) throws -> Int64? {
    guard let text = request.headers[.lastEventID] else { return nil }
    guard let seq = Int64(text), seq >= 0 else {
      throw Problem(.badRequest, "Last-Event-ID is the id of an event of this stream: a seq")
    }
    return seq
  }

  /// The first seq that the log has.
  private func first() async throws -> Int64 {
    let first = try await reader.read { try $0.firstSeq() }
    return max(first, 1)
  }

  /// - Throws: `Problem`: `seq_gone`, `seq_ahead`.
  private func require(after seq: Int64) async throws {
    let (first, newest) = (try await first(), reader.newest)
    if seq > newest { throw Problem(.seqAhead, "the newest seq is \(newest)") }
    if seq + 1 < first {
      throw Problem(
        .seqGone, "the log begins with seq \(first) (log.retain)", fields: ["first": .int(first)])
    }
  }

  // MARK: Up to now

  private func lines(from: Int64?, _ filter: RecordFilter, _ limit: Int64) async throws -> Response {
    let newest = reader.newest
    var begin = try await first() - 1
    if let from {
      // What comes next is an empty answer, not a mistake.
      if from != newest + 1 { try await require(after: from - 1) }
      begin = from - 1
    }
    return Response(
      status: .ok, headers: [.contentType: "application/jsonl"],
      body: ResponseBody { [reader, pages, begin] writer in
        var (end, left) = (begin, limit)
        while end < newest, left > 0 {
          let page = try await pages.page(after: end, through: newest, reader)
          if page.end == end { break }
          end = page.end
          var buffer = ByteBuffer()
          for entry in page.entries
          where left > 0 && entry.record.seq <= newest && filter.passes(entry.record) {
            buffer.writeBytes(entry.json)
            buffer.writeInteger(UInt8(ascii: "\n"))
            left -= 1
          }
          if buffer.readableBytes > 0 { try await writer.write(buffer) }
          await Task.yield()
        }
        try await writer.finish(nil)
      })
  }

  // MARK: From now on

  private func events(
    after begin: Int64, _ filter: RecordFilter, _ limit: Int64, _ caller: Caller
  ) async throws -> Response {
    try await require(after: begin)
    return Response(
      status: .ok,
      headers: [
        .contentType: "text/event-stream", .cacheControl: "no-store",
        // For proxies that would keep it until there is more.
        HTTPField.Name("X-Accel-Buffering")!: "no",
      ],
      body: ResponseBody { [self] writer in
        try await follow(after: begin, filter, limit, caller, &writer)
        try await writer.finish(nil)
      })
  }

  /// Writes what comes, until the server ends or the caller may not read any more. Who does not read suspends this, and
  /// nothing else: what it has not read is in the log.
  private func follow(
    after begin: Int64, _ filter: RecordFilter, _ limit: Int64, _ caller: Caller,
    _ writer: inout any ResponseBodyWriter
  ) async throws {
    let isOver = Flag()
    var (end, told, left) = (begin, begin, limit)
    // The head goes out at once: somebody waits for it.
    try await writer.write(ByteBuffer(string: ": \(begin)\n\n"))
    try await reader.streams.during({ isOver.set() }) {
      while left > 0, !isOver.isSet, access.stillCounts(caller) {
        let newest = reader.newest
        if end >= newest {
          let hasCome = await reader.streams.during(
            reader.host.coordinator.seqs, end + 1, atMost: reader.heartbeat)
          if hasCome { continue }
          if isOver.isSet || reader.host.queue.isStopped { break }
          // The id, too: who comes back need not look again at what was left out.
          try await writer.write(ByteBuffer(string: told < end ? "id: \(end)\n\n" : ":\n\n"))
          told = end
          continue
        }
        let page = try await pages.page(after: end, through: newest, reader)
        if page.end == end { break }
        end = page.end
        var buffer = ByteBuffer()
        if let last = page.write(to: &buffer, filter, &left) { told = last }
        if buffer.readableBytes > 0 { try await writer.write(buffer) }
        await Task.yield()
      }
    }
  }
}

extension LogPage {
  /// As server-sent events (the HTML standard, section 9.2): what was lost, then what passes, as far as some are left.
  ///
  /// - Returns: the last seq that was written; nil: none.
  func write(to buffer: inout ByteBuffer, _ filter: RecordFilter, _ left: inout Int64) -> Int64? {
    if !lost.isEmpty {
      buffer.writeString(
        "event: gap\ndata: {\"first\":\(lost.lowerBound),\"last\":\(lost.upperBound - 1)}\n\n")
    }
    var told: Int64?
    for entry in entries where left > 0 && filter.passes(entry.record) {
      buffer.writeString("id: \(entry.record.seq)\ndata: ")
      buffer.writeBytes(entry.json)
      buffer.writeString("\n\n")
      told = entry.record.seq
      left -= 1
    }
    return told
  }
}

/// Something that has happened or not. Any thread.
final class Flag: Sendable {
  private let value = Atomic<Bool>(false)
  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }
}

extension HTTPField.Name {
  static let lastEventID = HTTPField.Name("Last-Event-ID")!
}
