import TriggerCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension Operation {
  /// An operation outside of any queue.
  static func make(
    _ trigger: LoadedTrigger, kind: EventKind, event: String, payload: [UInt8], admitted: Int64,
    identity: Int64, hops: Int = 0, source: UInt64 = 0, cause: LogRecord.Cause? = nil
  ) -> Operation {
    var event = event
    return event.withUTF8 { event in
      payload.withUnsafeBufferPointer { payload in
        Operation(
          trigger: trigger, priority: trigger.options.priority, hops: UInt8(clamping: hops), orderKey: 0,
          admitted: admitted, kind: kind, source: source, cause: cause, identity: identity, name: event,
          payload: payload)
      }
    }
  }

  /// The operation of a record, for `trigger` to execute.
  static func make(_ record: LogRecord, _ trigger: LoadedTrigger) -> Operation {
    make(
      trigger, kind: record.kind, event: record.event, payload: record.payload, admitted: record.admitted,
      identity: record.identity, hops: record.hops, source: record.source, cause: record.cause)
  }
}

extension Attempt {
  /// Whether the intents just prepared are those of the record, byte by byte.
  func prepared(_ intents: [LogRecord.Intent]) -> Bool {
    guard writes.count == intents.count else { return false }
    for index in 0..<writes.count {
      guard Self.equals(writes.writes + index, intents[index]) else { return false }
    }
    return true
  }

  private static func equals(
    _ write: UnsafeMutablePointer<WriteSet.Write>, _ intent: LogRecord.Intent
  ) -> Bool {
    let store = write.pointee.table.map { $0._withUnsafeGuaranteedRef { $0.name } }
    return IntentKind(intent.kind) == write.pointee.kind && intent.store == store ?? ""
      && equals(write.pointee.keyBytes, intent.key)
      && (write.pointee.kind == .delete || equals(write.pointee.operand, intent.value))
  }

  private static func equals(_ bytes: UnsafeBufferPointer<UInt8>, _ other: [UInt8]) -> Bool {
    bytes.count == other.count
      && other.withUnsafeBytes {
        bytes.count == 0 || memcmp(bytes.baseAddress!, $0.baseAddress!, $0.count) == 0
      }
  }

  /// The intents just prepared, as a record would have them. Before they are committed: then the stores own
  /// the values.
  var intents: [LogRecord.Intent] {
    (0..<writes.count).map { index in
      let write = writes.writes + index
      return LogRecord.Intent(
        kind: "\(write.pointee.kind)",
        store: write.pointee.table.map { $0._withUnsafeGuaranteedRef { $0.name } } ?? "",
        key: Array(write.pointee.keyBytes),
        value: write.pointee.kind == .delete ? [] : Array(write.pointee.operand))
    }
  }
}

extension LogRecord.Intent: CustomStringConvertible {
  /// `put charts/EURUSD = {...}`.
  public var description: String {
    let place = (store.isEmpty ? [] : [store]) + [String(decoding: key, as: UTF8.self)]
    guard !value.isEmpty, let value = try? value.withUnsafeBytes({ try CanonicalEncoding.decode($0) }) else {
      return "\(kind) \(place.joined(separator: "/"))"
    }
    return "\(kind) \(place.joined(separator: "/")) = \(value)"
  }
}
