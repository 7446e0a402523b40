import Glibc
import TriggerCore
import TriggerHost

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
}

extension Attempt {
  /// Whether the intents just prepared are those, byte for byte. Before they are committed: then the stores
  /// own the values.
  ///
  /// - Parameter intents: an encoded array, as a log has it.
  func hasPrepared(_ intents: UnsafeRawBufferPointer, scratch: CBORBuffer) -> Bool {
    scratch.removeAll()
    var contents: [Range<Int>] = []
    LogCoding.writeIntents(self, to: scratch, contents: &contents)
    let prepared = scratch.bytes
    return prepared.count == intents.count
      && memcmp(prepared.baseAddress!, intents.baseAddress!, intents.count) == 0
  }

  /// The intents just prepared, as a record would have them. Before they are committed.
  var intents: [LogRecord.Intent] {
    (0..<writes.count).map { index in
      let write = writes.writes + index
      return LogRecord.Intent(
        action: write.pointee.action.mapStore { $0._withUnsafeGuaranteedRef { $0.name } },
        key: Array(write.pointee.keyBytes), value: Array(write.pointee.operand))
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
