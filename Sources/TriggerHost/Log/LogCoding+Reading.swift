import TriggerCore

/// Reads what `LogCoding` writes.
extension LogCoding {
  package static func eventKind(_ reader: inout CBORReader) throws(LogDamage) -> EventKind {
    let start = reader.offset
    let index = try reader.uint()
    guard index < UInt64(EventKind.allCases.count) else {
      throw LogDamage("unknown kind of event", offset: start)
    }
    return EventKind.allCases[Int(index)]
  }

  package static func cause(_ reader: inout CBORReader) throws(LogDamage) -> LogRecord.Cause? {
    if reader.null() { return nil }
    _ = try reader.array()
    return LogRecord.Cause(seq: try reader.int(), index: try reader.count())
  }

  @inline(__always)
  package static func intent(_ reader: inout CBORReader) throws(LogDamage) -> RecordView.Intent {
    let start = reader.offset
    let count = try reader.array()
    let code = UInt8(clamping: try reader.uint())
    let store = reader.null() ? nil : try reader.blob()
    guard let action = CommitAction(code: code, store: store), count == 3 || count == 4
    else { throw LogDamage("unknown kind of intent", offset: start) }
    let key = try reader.blob()
    let empty = UnsafeRawBufferPointer(start: nil, count: 0)
    return RecordView.Intent(
      action: action, key: key, value: count == 4 ? try reader.blob() : empty)
  }

  package static func digests(_ reader: inout CBORReader) throws(LogDamage) -> [StateDigests.Store] {
    var stores: [StateDigests.Store] = []
    for _ in 0..<(try reader.array()) / 2 {
      stores.append(
        StateDigests.Store(name: try reader.text(), digest: StoreDigest(bits: try reader.uint())))
    }
    return stores
  }

  package static func intents(_ bytes: UnsafeRawBufferPointer) throws(LogDamage) -> [LogRecord.Intent] {
    var reader = CBORReader(bytes)
    var intents: [LogRecord.Intent] = []
    for _ in 0..<(try reader.array()) {
      let intent = try intent(&reader)
      intents.append(
        LogRecord.Intent(
          action: intent.action.mapStore { $0.utf8Text }, key: Array(intent.key), value: Array(intent.value)))
    }
    return intents
  }

  package static func emissions(_ bytes: UnsafeRawBufferPointer) throws(LogDamage) -> [LogRecord.Emission] {
    var reader = CBORReader(bytes)
    var emissions: [LogRecord.Emission] = []
    for _ in 0..<(try reader.array()) {
      _ = try reader.array()
      var emission = LogRecord.Emission(
        kind: try eventKind(&reader), name: try reader.blob().utf8Text, payload: Array(try reader.blob()),
        triggers: [])
      for _ in 0..<(try reader.array()) { emission.triggers.append(try reader.blob().utf8Text) }
      emissions.append(emission)
    }
    return emissions
  }

  package static func outside(_ reader: inout CBORReader) throws(LogDamage) -> LogRecord.Outside? {
    if reader.null() { return nil }
    _ = try reader.array()
    return try outsideFields(&reader)
  }

  private static func outsideFields(_ reader: inout CBORReader) throws(LogDamage) -> LogRecord.Outside {
    var outside = LogRecord.Outside(
      id: EventID(epoch: try reader.int(), number: try reader.int()), key: try key(&reader), triggers: [])
    for _ in 0..<(try reader.array()) { outside.triggers.append(try reader.text()) }
    if !reader.null() { outside.priority = Priority(rawValue: UInt8(clamping: try reader.uint())) }
    return outside
  }

  package static func absorbed(_ bytes: UnsafeRawBufferPointer) throws(LogDamage) -> [LogRecord.Absorbed] {
    var reader = CBORReader(bytes)
    var absorbed: [LogRecord.Absorbed] = []
    for _ in 0..<(try reader.array()) {
      switch try reader.array() {
      case 1: absorbed.append(.retry(of: try reader.int(), sender: nil))
      case 3:
        let seq = try reader.int()
        _ = reader.null()
        absorbed.append(.retry(of: seq, sender: try sender(&reader)))
      case 2: absorbed.append(.commit(LogRecord.Cause(seq: try reader.int(), index: try reader.count())))
      default: absorbed.append(.event(try outsideFields(&reader)))
      }
    }
    return absorbed
  }

  package static func sender(_ reader: inout CBORReader) throws(LogDamage) -> LogRecord.Sender? {
    if reader.null() { return nil }
    _ = try reader.array()
    return LogRecord.Sender(
      event: EventID(epoch: try reader.int(), number: try reader.int()), scope: try reader.text(),
      key: try reader.text())
  }

  package static func key(_ reader: inout CBORReader) throws(LogDamage) -> EventKey? {
    if reader.null() { return nil }
    let start = reader.offset
    let count = try reader.array()
    switch try reader.uint() {
    case 0: return .client(scope: try reader.text(), key: try reader.text(), digest: try reader.uint())
    case 1: return .row(feed: try reader.text(), number: try reader.int(), floor: try reader.int())
    case 2:
      let (job, instant) = (try reader.text(), try reader.int())
      // Format 3 had no more.
      return .fire(job: job, instant: instant, after: instant - (count > 3 ? try reader.int() : 1))
    default: throw LogDamage("unknown kind of event key", offset: start)
    }
  }
}

extension LogRecord {
  /// Copies all fields of a record. O(bytes).
  ///
  /// - Parameter intents: false leaves the intents out.
  package init(_ view: RecordView, intents: Bool = true) throws(LogDamage) {
    var outside = CBORReader(view.outside)
    var reads = CBORReader(view.reads)
    self.init(
      seq: view.seq, identity: view.identity, outcome: view.outcome, trigger: view.trigger.utf8Text,
      kind: view.kind, event: view.event.utf8Text, payload: Array(view.payload), priority: view.priority,
      admitted: view.admitted, source: view.source, hops: view.hops, tree: view.tree, cause: view.cause,
      attempts: view.attempts, intents: intents ? try LogCoding.intents(view.intents) : [],
      emissions: try LogCoding.emissions(view.emissions), isKilled: view.isKilled,
      error: view.error?.utf8Text, reads: [])
    for _ in 0..<(try reads.array()) { self.reads.append(try reads.text()) }
    self.outside = try LogCoding.outside(&outside)
    absorbed = try LogCoding.absorbed(view.absorbed)
    retryOf = view.retryOf
    tries = view.tries
    retryAt = view.retryAt == 0 ? nil : view.retryAt
    if let bytes = view.sender {
      var sender = CBORReader(bytes)
      self.sender = try LogCoding.sender(&sender)
    }
    digests = try view.stateDigests()?.stores ?? []
    retryPause = view.retryPause
    code = view.code
  }
}
