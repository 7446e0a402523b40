import TriggerCore
import TriggerHost

/// Records that are to be executed again: copies of what an execution needs and is compared with. Filled by
/// one thread, then read by another.
final class RecordBatch {
  struct Item {
    var seq: Int64
    var identity: Int64
    var isCommitted: Bool
    var kind: EventKind
    var admitted: Int64
    var hops: Int
    var tree: Int
    /// Of the record's tree; nil when that has none of the name.
    var trigger: LoadedTrigger?
    fileprivate var name: Part
    fileprivate var event: Part
    fileprivate var payload: Part
    fileprivate var intents: Part
    fileprivate var error: Part?
    /// Nil too where an older version wrote the record.
    let code: FailureCode?
  }

  /// Bytes of `buffer`.
  fileprivate struct Part {
    var start: Int
    var count: Int
  }

  @exclusivity(unchecked) private(set) var items: [Item] = []
  private let buffer = CBORBuffer(capacity: 1 << 14)

  /// O(bytes of the record).
  func add(_ record: RecordView, _ trigger: LoadedTrigger?) {
    items.append(
      Item(
        seq: record.seq, identity: record.identity, isCommitted: record.outcome == .committed,
        kind: record.kind, admitted: record.admitted, hops: record.hops, tree: record.tree, trigger: trigger,
        name: keep(record.trigger), event: keep(record.event), payload: keep(record.payload),
        intents: keep(record.intents), error: record.error.map(keep), code: record.code))
  }

  func removeAll() {
    items.removeAll(keepingCapacity: true)
    buffer.removeAll()
  }

  private func keep(_ bytes: UnsafeRawBufferPointer) -> Part {
    defer { buffer.raw(bytes) }
    return Part(start: buffer.bytes.count, count: bytes.count)
  }

  private func bytes(_ part: Part) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: buffer.bytes.baseAddress! + part.start, count: part.count)
  }

  // MARK: What lies in the buffer, until it is filled again

  func name(_ item: Item) -> String { bytes(item.name).utf8Text }
  /// An encoded array, as the log has it.
  func intents(_ item: Item) -> UnsafeRawBufferPointer { bytes(item.intents) }
  func error(_ item: Item) -> String? { item.error.map { bytes($0).utf8Text } }

  func operation(_ item: Item, _ trigger: LoadedTrigger) -> Operation {
    Operation(
      trigger: trigger, priority: trigger.options.priority, hops: UInt8(clamping: item.hops), orderKey: 0,
      admitted: item.admitted, kind: item.kind, identity: item.identity,
      name: bytes(item.event).bindMemory(to: UInt8.self),
      payload: bytes(item.payload).bindMemory(to: UInt8.self))
  }
}
