import DequeModule
import TriggerCore
import TriggerHost

/// A conversation with a client, whatever sockets it has. Guarded by the lock of `HostSessions`.
///
/// Its messages have consecutive tokens. What they say is in the log; a session knows where.
final class Session {
  /// Where a message comes from.
  enum Origin: Hashable {
    /// An intent of a commit: `send` or `broadcast`.
    case effect(index: Int)
    /// An intent of a commit: it changed a key that the session has subscribed to.
    case change(index: Int)
    /// The record that decided the last operation of a message with an id. 0: the record's own event; from 1 on the
    /// events that its operation superseded.
    case ack(place: Int)
    /// A record that the session wants to hear of, whole.
    case record(SessionSubscriptions.Records.Form)
    /// Nothing in the log: the session keeps the text itself.
    case kept
  }

  /// One message.
  struct Entry: Hashable {
    /// The record that it is made of; 0: none.
    var seq: Int64
    private var code: UInt32

    init(_ seq: Int64, _ origin: Origin) {
      self.seq = seq
      code =
        switch origin {
        case .effect(let index): UInt32(clamping: index) << 2
        case .change(let index): UInt32(clamping: index) << 2 | 1
        case .ack(let place): UInt32(clamping: place) << 2 | 2
        case .kept: 3
        case .record(.log): 1 << 2 | 3
        case .record(.executions): 2 << 2 | 3
        }
    }

    init(seq: Int64, code: UInt32) { (self.seq, self.code) = (seq, code) }

    var rawCode: UInt32 { code }

    var origin: Origin {
      let number = Int(code >> 2)
      return switch code & 3 {
      case 0: .effect(index: number)
      case 1: .change(index: number)
      case 2: .ack(place: number)
      default: number == 0 ? .kept : .record(number == 1 ? .log : .executions)
      }
    }
  }

  /// A message of the client whose operations are not all decided.
  struct Undecided: Equatable {
    var event: EventID
    var total: Int
    var results: [KeyRow.Result] = []
  }

  let id: String
  /// Who opened it: nobody else gets it.
  let owner: String
  /// The token of the newest message; 0 before the first one.
  private(set) var token: Int64 = 0
  /// That of the newest message that clients may get: later ones are not kept yet, and no record makes them again.
  var shown: Int64 = 0
  /// The newest messages; the last one has `token`.
  private(set) var entries: Deque<Entry> = []
  /// What the log does not have, by token: texts of messages, without their tokens.
  private(set) var texts: [Int64: [UInt8]] = [:]
  /// The seqs of acknowledgements of several operations, by token.
  private(set) var seqs: [Int64: [Int64]] = [:]
  /// By the key under which the log knows the message.
  var undecided: [String: Undecided] = [:]
  var subscriptions = SessionSubscriptions()
  /// When its last socket left, in nanoseconds since 1970; nil while it has one.
  var left: Int64?
  /// Sockets that get its messages.
  var links: [SessionLink] = []
  /// It is not what the log keeps.
  var isChanged = true

  init(id: String, owner: String) { (self.id, self.owner) = (id, owner) }

  /// The token before the oldest message that is kept.
  var floor: Int64 { token - Int64(entries.count) }

  /// Gives the next message its token.
  ///
  /// - Parameter most: messages that are kept.
  func add(_ entry: Entry, text: [UInt8]? = nil, seqs: [Int64]? = nil, keeping most: Int) -> Int64 {
    token += 1
    entries.append(entry)
    if let text { texts[token] = text } else { shown = token }
    if let seqs { self.seqs[token] = seqs }
    isChanged = true
    while entries.count > most {
      let gone = floor + 1
      entries.removeFirst()
      if !texts.isEmpty { texts[gone] = nil }
      if !self.seqs.isEmpty { self.seqs[gone] = nil }
    }
    return token
  }

  /// The messages after a token that clients may get, oldest first; nil when some of them are not kept any more, or there never was such a
  /// token.
  func entries(after seen: Int64, atMost most: Int) -> [Entry]? {
    guard seen >= floor, seen <= token else { return nil }
    let start = entries.count - Int(token - seen)
    let end = max(start, entries.count - Int(token - shown))
    return Array(entries[start..<min(end, start + most)])
  }

  /// What was said before is gone: its messages go on after a token that none of them has.
  func forget() {
    token += 1
    shown = token
    (entries, texts, seqs, undecided) = ([], [:], [:], [:])
    isChanged = true
  }
}

/// What a session wants to hear of beside what is sent to it.
package struct SessionSubscriptions: Hashable, Sendable {
  /// A store, and a key in it or the beginning of keys.
  package struct Place: Hashable, Sendable {
    package var store: ExactText
    package var key: [UInt8]

    package init(store: ExactText, key: [UInt8]) { (self.store, self.key) = (store, key) }
  }
  /// Records, as the log has them.
  package struct Records: Hashable, Sendable {
    /// Under which name they were asked for, and come.
    package enum Form: UInt64, Hashable, Sendable, CaseIterable {
      case log
      case executions
    }

    package var form: Form
    package var filter: RecordFilter

    package init(_ form: Form, _ filter: RecordFilter) { (self.form, self.filter) = (form, filter) }
  }

  package var topics: Set<ExactText> = []
  package var keys: Set<Place> = []
  package var prefixes: Set<Place> = []
  package var records: Set<Records> = []

  package init() {}

  package var count: Int { topics.count + keys.count + prefixes.count + records.count }

  mutating func formUnion(_ other: Self) {
    topics.formUnion(other.topics)
    keys.formUnion(other.keys)
    prefixes.formUnion(other.prefixes)
    records.formUnion(other.records)
  }

  mutating func subtract(_ other: Self) {
    topics.subtract(other.topics)
    keys.subtract(other.keys)
    prefixes.subtract(other.prefixes)
    records.subtract(other.records)
  }
}

extension Session {
  // MARK: Coding

  /// What the log keeps of it: one CBOR array.
  var encoded: [UInt8] {
    let buffer = CBORBuffer(capacity: 256 + 8 * entries.count)
    buffer.array(11)
    buffer.text(owner)
    buffer.int(token)
    buffer.int(left ?? 0)
    write(entries, to: buffer)
    buffer.array(texts.count)
    for (token, text) in texts.sorted(by: { $0.key < $1.key }) {
      buffer.array(2)
      buffer.int(token)
      buffer.blob(text)
    }
    buffer.array(seqs.count)
    for (token, seqs) in seqs.sorted(by: { $0.key < $1.key }) {
      buffer.array(seqs.count + 1)
      buffer.int(token)
      for seq in seqs { buffer.int(seq) }
    }
    writeUndecided(to: buffer)
    buffer.array(subscriptions.topics.count)
    for topic in subscriptions.topics { buffer.text(topic.text) }
    for places in [subscriptions.keys, subscriptions.prefixes] {
      buffer.array(places.count)
      for place in places {
        buffer.array(2)
        buffer.text(place.store.text)
        buffer.blob(place.key)
      }
    }
    buffer.array(subscriptions.records.count)
    for records in subscriptions.records { records.write(to: buffer) }
    return Array(buffer.bytes)
  }

  /// Seqs as differences: those of neighbours are near.
  private func write(_ entries: Deque<Entry>, to buffer: CBORBuffer) {
    buffer.array(2 * entries.count)
    var last: Int64 = 0
    for entry in entries {
      buffer.int(entry.seq &- last)
      buffer.uint(UInt64(entry.rawCode))
      last = entry.seq
    }
  }

  private func writeUndecided(to buffer: CBORBuffer) {
    buffer.array(undecided.count)
    for (key, state) in undecided.sorted(by: { $0.key < $1.key }) {
      buffer.array(5)
      buffer.text(key)
      buffer.int(state.event.epoch)
      buffer.int(state.event.number)
      buffer.int(Int64(state.total))
      buffer.array(state.results.count)
      for result in state.results { result.write(to: buffer) }
    }
  }

  /// Reads `encoded`.
  convenience init(id: String, _ bytes: UnsafeRawBufferPointer) throws(LogDamage) {
    var reader = CBORReader(bytes)
    let fields = try reader.array()
    self.init(id: id, owner: try reader.text())
    token = try reader.int()
    shown = token
    let time = try reader.int()
    left = time == 0 ? nil : time
    var last: Int64 = 0
    for _ in 0..<(try reader.array()) / 2 {
      last &+= try reader.int()
      entries.append(Entry(seq: last, code: UInt32(truncatingIfNeeded: try reader.uint())))
    }
    for _ in 0..<(try reader.array()) {
      _ = try reader.array()
      let token = try reader.int()
      texts[token] = Array(try reader.blob())
    }
    for _ in 0..<(try reader.array()) {
      let count = try reader.array()
      let token = try reader.int()
      var found: [Int64] = []
      for _ in 1..<max(1, count) { found.append(try reader.int()) }
      seqs[token] = found
    }
    for _ in 0..<(try reader.array()) {
      _ = try reader.array()
      let key = try reader.text()
      var state = Undecided(
        event: EventID(epoch: try reader.int(), number: try reader.int()), total: Int(try reader.int()))
      for _ in 0..<(try reader.array()) { state.results.append(try KeyRow.Result(&reader)) }
      undecided[key] = state
    }
    for _ in 0..<(try reader.array()) { subscriptions.topics.insert(ExactText(try reader.text())) }
    subscriptions.keys = try Self.places(&reader)
    subscriptions.prefixes = try Self.places(&reader)
    if fields > 10 {
      for _ in 0..<(try reader.array()) {
        subscriptions.records.insert(try SessionSubscriptions.Records(&reader))
      }
    }
    isChanged = false
  }

  private static func places(
    _ reader: inout CBORReader
  ) throws(LogDamage) -> Set<SessionSubscriptions.Place> {
    var places: Set<SessionSubscriptions.Place> = []
    for _ in 0..<(try reader.array()) {
      _ = try reader.array()
      places.insert(
        SessionSubscriptions.Place(store: ExactText(try reader.text()), key: Array(try reader.blob())))
    }
    return places
  }
}

extension SessionSubscriptions.Records {
  /// One CBOR array.
  fileprivate func write(to buffer: CBORBuffer) {
    buffer.array(8)
    buffer.uint(form.rawValue)
    if let outcome = filter.outcome { buffer.uint(UInt64(outcome.rawValue)) } else { buffer.null() }
    if let kind = filter.kind { buffer.uint(UInt64(kind.index)) } else { buffer.null() }
    for text in [filter.trigger, filter.store, filter.key, filter.prefix, filter.topic] {
      if let text { buffer.text(text) } else { buffer.null() }
    }
  }

  fileprivate init(_ reader: inout CBORReader) throws(LogDamage) {
    _ = try reader.array()
    let number = try reader.uint()
    var filter = RecordFilter()
    if !reader.null() { filter.outcome = Outcome(rawValue: UInt8(clamping: try reader.uint())) }
    if !reader.null() { filter.kind = try LogCoding.eventKind(&reader) }
    filter.trigger = try Self.text(&reader)
    filter.store = try Self.text(&reader)
    filter.key = try Self.text(&reader)
    filter.prefix = try Self.text(&reader)
    filter.topic = try Self.text(&reader)
    self.init(number == Form.log.rawValue ? .log : .executions, filter)
  }

  private static func text(_ reader: inout CBORReader) throws(LogDamage) -> String? {
    reader.null() ? nil : try reader.text()
  }
}
