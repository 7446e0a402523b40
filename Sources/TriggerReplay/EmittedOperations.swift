import DequeModule
import TriggerCore
import TriggerHost

/// Operations that commits of the other world have admitted and that history has as well: they wait for their
/// recorded places.
struct EmittedOperations {
  /// An event on its way to a trigger.
  struct Waiting {
    var trigger: LoadedTrigger
    var payload: [UInt8]
    var hops: Int
    /// What has come of the same cause.
    var family: Operation.Family?
    /// Of the payload in history.
    fileprivate var recordedHash: UInt64 = 0
    /// As in history; 0 when its trigger does not coalesce.
    fileprivate var coalesceKey: UInt64 = 0

    init(trigger: LoadedTrigger, payload: [UInt8], hops: Int, family: Operation.Family?) {
      (self.trigger, self.payload, self.hops, self.family) = (trigger, payload, hops, family)
    }
  }

  private struct Key: Hashable, Comparable {
    var cause: LogRecord.Cause
    var trigger: String
    static func < (left: Key, right: Key) -> Bool {
      (left.cause.seq, left.cause.index) < (right.cause.seq, right.cause.index)
    }
  }

  /// Operations kept for a trigger that may pass them over without a record.
  private static let keptPerTrigger = 10_000

  private var waiting: [Key: Waiting] = [:]
  /// By trigger that may pass some over, in order of their causes; those taken already are in it still.
  private var passedOver: [String: Deque<Key>] = [:]

  /// Those that history left undecided as well.
  var undecided: Int { waiting.keys.count { passedOver[$0.trigger] == nil } }

  /// - Parameters:
  ///   - cause: in history.
  ///   - recorded: the event in history.
  ///   - old: the trigger at the time.
  mutating func add(
    _ event: EmittedEvent, _ trigger: LoadedTrigger, hops: Int, family: Operation.Family?,
    cause: LogRecord.Cause, recorded: [UInt8], by old: LoadedTrigger?
  ) {
    let key = Key(cause: cause, trigger: trigger.name)
    var new = Waiting(trigger: trigger, payload: event.payload, hops: hops, family: family)
    defer { waiting[key] = new }
    guard let old, old.mayPassOver else { return }
    new.recordedHash = Self.hash(recorded)
    new.coalesceKey = recorded.withUnsafeBufferPointer {
      OperationKeys(trigger: old, source: 0, payload: $0).coalesce
    }
    passedOver[trigger.name, default: []].append(key)
    if passedOver[trigger.name]!.count > Self.keptPerTrigger {
      waiting[passedOver[trigger.name]!.removeFirst()] = nil
    }
  }

  /// The operation of a record; nil when the other world does not have it.
  mutating func take(_ record: LogRecord) -> Waiting? {
    let key = Key(cause: record.cause!, trigger: record.trigger)
    let own = waiting.removeValue(forKey: key)
    guard let queue = passedOver[record.trigger] else { return own }
    let hash = Self.hash(record.payload)
    if own?.recordedHash == hash {
      // Those whose place it took.
      for case .commit(let cause) in record.absorbed {
        waiting[Key(cause: cause, trigger: record.trigger)] = nil
      }
      return own
    }
    // It coalesced, and an older version wrote the log: in the queue it took the payload of a newer one, and of
    // those between.
    guard let last = queue.lastIndex(where: { $0 > key && waiting[$0]?.recordedHash == hash }) else {
      return own
    }
    let newest = waiting[queue[last]]!
    for other in queue[...last]
    where other > key && waiting[other]?.coalesceKey == newest.coalesceKey { waiting[other] = nil }
    passedOver[record.trigger]!.removeAll { waiting[$0] == nil }
    return newest
  }

  private static func hash(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { XXH64.of($0) } }

  /// The places that a recorded commit's emissions have.
  struct Places {
    private struct Name: Hashable {
      var kind: EventKind
      var event: String
      var trigger: String
    }

    private let emissions: [LogRecord.Emission]
    /// Where to look for the next of a name.
    private var next: [Name: Int] = [:]

    /// - Parameter record: nil for an operation that history does not have.
    init(_ record: LogRecord?) { emissions = record?.emissions ?? [] }

    /// The place of the first emission of that name to the trigger that was not taken before; nil when
    /// history has none.
    mutating func claim(_ event: EmittedEvent, _ trigger: String) -> Int? {
      if emissions.isEmpty { return nil }
      let name = Name(kind: event.kind, event: event.name, trigger: trigger)
      let found = emissions[(next[name] ?? 0)...].firstIndex { emission in
        emission.kind == event.kind && emission.name == event.name && emission.triggers.contains(trigger)
      }
      next[name] = found.map { $0 + 1 } ?? emissions.count
      return found
    }
  }
}
