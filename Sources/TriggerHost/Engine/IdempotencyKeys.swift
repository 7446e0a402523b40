import Synchronization
import TriggerCore

/// The keys that senders gave with their events, and what came of those: a key that comes again within a day
/// gets the first one's results, and nothing runs twice. Any thread.
///
/// A key goes through three places. While its event is undecided, or decided and not durable, it is in `flights`,
/// with those who wait for its results. Then it is in `recent`, as a row, until that is part of something kept:
/// the log's thread writes parts where there is a log (`settle`), in memory they are made here. From then on memory
/// has its hash only (`KeyIndex`); the row is read when the key comes again, by who sends it, with no lock of this
/// or of the engine held.
///
/// Keys are forgotten by time only. When as many are known as may be, an event with a new one is refused.
final class IdempotencyKeys: Sendable {
  typealias Results = @Sendable (EventID, [OperationResult]) -> Void
  /// The rows of a part, `KeyPart.encodedRows`; nil when they are gone.
  typealias Reader = @Sendable (_ part: Int64) throws -> [UInt8]?

  /// Nanoseconds: 24 hours (draft-ietf-httpapi-idempotency-key-header-07 leaves the span to the server).
  static let lifetime: Int64 = 24 * 3_600_000_000_000

  enum Verdict {
    /// The first of its key: admit it, then say how many operations it has (`expect`).
    case first
    /// Its results come, or have come already; the id is the first one's.
    case repeated(EventID)
    /// The key came with another event before.
    case reused
    /// As many keys are known as may be; the oldest is forgotten then, nanoseconds since 1970.
    case full(until: Int64)
  }

  private struct Flight {
    var id: EventID
    var digest: UInt64
    var admitted: Int64
    var outcomes = EventOutcomes()
    var waiting: [Results] = []
    /// Its row is kept already: the log was quicker than who tells of outcomes.
    var isKept = false
  }

  private struct State: ~Copyable {
    var flights: [SenderKey: Flight] = [:]
    var recent: [SenderKey: KeyRow] = [:]
    var recentBytes = 0
    /// What came of operations that were tried again, as far as no part has it.
    var amendments: [SenderKey: [KeyRow]] = [:]
    var amendmentCount = 0
    var index = KeyIndex()
    var seed: UInt64 = .random(in: .min ... .max)
    var reader: Reader = { _ in nil }
    /// The log makes the parts.
    var isKeptByLog = false
    /// Of parts that are made here, by their numbers, which are negative.
    var parts: [Int64: [UInt8]] = [:]
    var newestPart: Int64 = 0
    /// Parts of the log's that are forgotten.
    var forgotten: [Int64] = []

    var count: Int { flights.count + recent.count + amendmentCount + index.count }
  }
  private let state: Mutex<State>
  private let limits: @Sendable (_ isKeptByLog: Bool) -> Int

  /// - Parameter limit: how many keys may be known, by whether a log keeps them.
  init(limit: @escaping @Sendable (_ isKeptByLog: Bool) -> Int) {
    limits = limit
    state = Mutex(State())
  }

  // MARK: Senders

  /// What is to be done with an event that comes with a key.
  ///
  /// - Parameters:
  ///   - first: gets the results when it is the first of its key.
  ///   - again: gets them when it is not.
  /// - Throws: when what came of the first one cannot be read.
  func claim(
    _ key: SenderKey, id: EventID, digest: UInt64, now: Int64, first: @escaping Results,
    again: @escaping Results
  ) throws -> Verdict {
    // Rows that were read and are of other keys, or of forgotten ones.
    var others: Set<KeyIndex.Place> = []
    while true {
      let look = state.withLock { state in
        Self.look(
          for: key, id: id, digest: digest, now: now, others, limit: limits(state.isKeptByLog), first: first,
          again: again, in: &state)
      }
      switch look {
      case .verdict(let verdict, let row, let later):
        if let row { again(row.id, row.results(amendedBy: later).map { OperationResult($0) }) }
        return verdict
      case .read(let places, let later, let seed, let source):
        if let row = try source.row(of: key, among: places, now: now, seed: seed, later: later) {
          guard row.digest == digest else { return .reused }
          again(row.id, row.results.map { OperationResult($0) })
          return .repeated(row.id)
        }
        others.formUnion(places)
      }
    }
  }

  private enum Look {
    case verdict(Verdict, KeyRow?, later: [KeyRow])
    case read([KeyIndex.Place], later: [KeyRow], seed: UInt64, Source)
  }

  private static func look(
    for key: SenderKey, id: EventID, digest: UInt64, now: Int64, _ others: Set<KeyIndex.Place>, limit: Int,
    first: @escaping Results, again: @escaping Results, in state: inout State
  ) -> Look {
    forget(&state, before: now - lifetime)
    if let place = state.flights.index(forKey: key) {
      guard state.flights.values[place].digest == digest else { return .verdict(.reused, nil, later: []) }
      state.flights.values[place].waiting.append(again)
      return .verdict(.repeated(state.flights.values[place].id), nil, later: [])
    }
    let later = state.amendments[key] ?? []
    if let row = state.recent[key] {
      if now - row.admitted <= lifetime {
        guard row.digest == digest else { return .verdict(.reused, nil, later: []) }
        return .verdict(.repeated(row.id), row, later: later)
      }
      state.recent[key] = nil
      state.recentBytes -= row.bytes
    }
    let places = state.index.rows(key.hash(seed: state.seed)).filter { !others.contains($0) }
    if !places.isEmpty {
      let parts = Dictionary(
        places.compactMap { place in state.parts[place.part].map { (place.part, $0) } },
        uniquingKeysWith: { one, _ in one })
      return .read(places, later: later, seed: state.seed, Source(parts: parts, reader: state.reader))
    }
    guard state.count < limit else {
      let oldest = [state.index.oldest, state.recent.values.lazy.map(\.admitted).min()].compactMap { $0 }
        .min()
      return .verdict(.full(until: (oldest ?? now) + lifetime), nil, later: [])
    }
    state.flights[key] = Flight(id: id, digest: digest, admitted: now, waiting: [first])
    return .verdict(.first, nil, later: [])
  }

  /// Where rows are read.
  private struct Source {
    /// Those that are in memory.
    var parts: [Int64: [UInt8]]
    var reader: Reader

    /// The key's newest row that is not forgotten, with what came of its operations since; nil when all are of
    /// other keys.
    func row(
      of key: SenderKey, among places: [KeyIndex.Place], now: Int64, seed: UInt64, later: [KeyRow]
    ) throws -> KeyRow? {
      var (newest, later): (KeyRow?, [KeyRow]) = (nil, later)
      for place in places {
        guard let rows = try parts[place.part] ?? reader(place.part) else { continue }
        let row = try rows.withUnsafeBytes { try KeyPart.row(place.index, of: $0) }
        if row.key != key { continue }
        if row.amends != nil {
          later.append(row)
        } else if now - place.time <= lifetime {
          newest = row
        }
      }
      guard var row = newest else { return nil }
      row.results = row.results(amendedBy: later)
      return row
    }
  }

  /// The event was not admitted: as if its key had not come.
  func withdraw(_ key: SenderKey) { state.withLock { _ = $0.flights.removeValue(forKey: key) } }

  // MARK: Outcomes

  func add(_ result: OperationResult, to key: SenderKey) {
    change(key) { $0.add(result) }
  }

  /// How many operations the event has. Of none nothing is remembered: nothing has run.
  func expect(_ count: Int, of key: SenderKey) { change(key) { $0.expect(count) } }

  private func change(_ key: SenderKey, _ body: (inout EventOutcomes) -> Void) {
    let complete: (flight: Flight, results: [OperationResult])? = state.withLock { state in
      guard let place = state.flights.index(forKey: key) else { return nil }
      body(&state.flights.values[place].outcomes)
      guard let results = state.flights.values[place].outcomes.complete else { return nil }
      let flight = state.flights.remove(at: place).value
      if !results.isEmpty, !flight.isKept {
        let row = KeyRow(
          key: key, id: flight.id, digest: flight.digest, admitted: flight.admitted,
          results: results.map { KeyRow.Result($0) })
        state.recentBytes += row.bytes
        state.recent[key] = row
      }
      Self.keepInMemory(&state)
      return (flight, results)
    }
    guard let complete else { return }
    for body in complete.flight.waiting { body(complete.flight.id, complete.results) }
  }

  /// A failed operation of the key's event was tried again.
  func amend(_ key: SenderKey, of id: EventID, failed seq: Int64, _ result: OperationResult, now: Int64) {
    state.withLock { state in
      let row = KeyRow(
        key: key, id: id, digest: 0, admitted: now, results: [KeyRow.Result(result)], amends: seq)
      state.amendments[key, default: []].append(row)
      state.amendmentCount += 1
      Self.keepInMemory(&state)
    }
  }

  // MARK: Parts

  /// Makes a part of what is recent, where no log does.
  private static func keepInMemory(_ state: inout State) {
    guard !state.isKeptByLog,
      state.recent.count + state.amendmentCount >= KeyPart.size || state.recentBytes >= KeyPart.bytes
    else { return }
    let rows = state.recent.values.sorted { $0.admitted < $1.admitted } + state.amendments.values.joined()
    state.recent = [:]
    state.recentBytes = 0
    state.amendments = [:]
    state.amendmentCount = 0
    state.newestPart -= 1
    state.parts[state.newestPart] = KeyPart(rows).encodedRows
    state.index.begin(part: state.newestPart, size: rows.count)
    for row in rows { state.index.add(row.key.hash(seed: state.seed), time: row.admitted) }
  }

  /// The log has a part now: its rows are found there.
  func handOver(_ part: KeyPart, number: Int64, now: Int64) {
    state.withLock { $0.index.begin(part: number, size: part.rows.count) }
    // Nobody waits for long.
    for start in stride(from: 0, to: part.rows.count, by: 128) {
      state.withLock { state in
        for row in part.rows[start..<min(start + 128, part.rows.count)] {
          state.index.add(
            row.key.hash(seed: state.seed), time: Self.drop(row, &state) ?? min(row.admitted, now))
        }
      }
    }
  }

  /// - Returns: when the row was admitted, on this host's clock; nil when it was before its start.
  private static func drop(_ row: KeyRow, _ state: inout State) -> Int64? {
    if let seq = row.amends {
      guard let place = state.amendments[row.key]?.firstIndex(where: { $0.amends == seq && $0.id == row.id })
      else { return nil }
      state.amendmentCount -= 1
      let known = state.amendments[row.key]!.remove(at: place)
      if state.amendments[row.key]!.isEmpty { state.amendments[row.key] = nil }
      return known.admitted
    }
    if let recent = state.recent[row.key], recent.id == row.id {
      state.recent[row.key] = nil
      state.recentBytes -= recent.bytes
      return recent.admitted
    }
    guard let flight = state.flights[row.key], flight.id == row.id else { return nil }
    state.flights[row.key]!.isKept = true
    return flight.admitted
  }

  private static func forget(_ state: inout State, before time: Int64) {
    for number in state.index.forget(before: time) {
      if state.parts.removeValue(forKey: number) == nil { state.forgotten.append(number) }
    }
  }

  /// The log makes the parts from now on.
  func keepInLog() { state.withLock { $0.isKeptByLog = true } }

  /// Parts of the log that nobody needs any more, each once.
  func takeForgotten(now: Int64) -> [Int64] {
    state.withLock { state in
      Self.forget(&state, before: now - Self.lifetime)
      defer { state.forgotten = [] }
      return state.forgotten
    }
  }

  /// How many keys may be known.
  var limit: Int { state.withLock { limits($0.isKeptByLog) } }

  /// Keys and later results that no part has yet, large ones counted as several.
  var recentCount: Int {
    state.withLock { max($0.recent.count + $0.amendmentCount, $0.recentBytes >> 9) }
  }

  /// The engine has stopped: nothing is read any more, and what was opened for that is closed.
  func close() { state.withLock { $0.reader = { _ in throw QueueStopped(wasTaken: false) } } }

  // MARK: A start

  /// What a log knows of the keys of the last day.
  func restore(_ fold: LogFold, _ kept: KeptKeys, now: Int64) {
    state.withLock { state in
      state.seed = kept.seed
      state.reader = kept.reader
      for part in kept.parts {
        state.index.begin(part: part.number, size: part.entries.count / 16)
        part.entries.withUnsafeBytes { bytes in
          for offset in stride(from: 0, to: bytes.count, by: 16) {
            // A clock that was ahead then is right by now.
            state.index.add(
              UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
              time: min(
                now, Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 8, as: Int64.self))))
          }
        }
      }
      for var row in fold.finishedKeys where now - row.admitted <= Self.lifetime {
        row.admitted = min(now, row.admitted)
        if row.amends == nil {
          state.recentBytes += row.bytes - (state.recent[row.key]?.bytes ?? 0)
          state.recent[row.key] = row
        } else {
          state.amendments[row.key, default: []].append(row)
          state.amendmentCount += 1
        }
      }
      for (key, known) in fold.keys {
        state.flights[key] = Flight(
          id: known.id, digest: known.digest, admitted: min(now, known.admitted),
          outcomes: EventOutcomes(known.results.map { OperationResult($0) }, expected: known.total))
      }
    }
  }
}
