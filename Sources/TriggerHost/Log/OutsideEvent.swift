import TriggerCore

/// Names an event that came from outside, for acknowledgements and resume tokens: unique for a data
/// directory, because every start of a host opens an epoch of its own.
public struct EventID: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// From 1; 0 for an event that a tool put back.
  public var epoch: Int64
  /// From 1 in each epoch, in the order of admission.
  public var number: Int64

  /// An id that was given before.
  public init(epoch: Int64, number: Int64) {
    self.epoch = epoch
    self.number = number
  }

  /// By epoch, then by number: the order of admission.
  public static func < (left: EventID, right: EventID) -> Bool {
    (left.epoch, left.number) < (right.epoch, right.number)
  }

  /// `3-17`.
  public var description: String { "\(epoch)-\(number)" }
}

/// What an event from outside is known by where it comes from: with it the same event is not taken twice.
public enum EventKey: Sendable, Hashable {
  /// What a sender chose (`Idempotency-Key`). `scope` says whose keys these are; `digest` is of the event's
  /// name and payload, so that a key that comes again with another event is found out.
  case client(scope: String, key: String, digest: UInt64)
  /// A row of a feed, counted from 1. Every row up to `floor` was decided when this one was admitted.
  case row(feed: String, number: Int64, floor: Int64)
  /// A fire of a schedule: nominal instant in nanoseconds since 1970. No instant between `after` and it is still to
  /// fire.
  case fire(job: String, instant: Int64, after: Int64)
}

/// An event from outside that is more to the engine than one operation: it has a key, an acknowledgement to
/// come, or several operations. Shared by those.
final class OutsideEvent: @unchecked Sendable {  // `left` is guarded by the engine lock, the rest constant
  let id: EventID
  let key: EventKey?
  /// Kept by the log until all its operations are decided, whatever happens.
  let isAccepted: Bool
  /// Names of the triggers it made operations for.
  let triggers: [String]
  /// What it brought; nil: what each trigger declares.
  let priority: Priority?
  /// Operations not yet decided.
  var left: Int

  init(
    id: EventID, key: EventKey?, isAccepted: Bool, triggers: [String], priority: Priority?, left: Int? = nil
  ) {
    self.id = id
    self.key = key
    self.isAccepted = isAccepted
    self.triggers = triggers
    self.priority = priority
    self.left = left ?? triggers.count
  }
}

/// An accepted event as the log keeps it until its operations are decided.
public struct AcceptedEvent: Sendable, Hashable {
  /// Its name in acknowledgements.
  public var id: EventID
  /// What its source knows it by.
  public var key: EventKey?
  /// What kind of event it is.
  public var kind: EventKind
  /// The event's name.
  public var name: String
  /// Canonical encoding of the event.
  public var payload: [UInt8]
  /// Nil: what each trigger declares.
  public var priority: Priority?
  /// Events of one source keep their order at each trigger.
  public var source: UInt64
  /// Admission time, nanoseconds since 1970.
  public var admitted: Int64
  /// The triggers it makes operations for.
  public var triggers: [String]
  /// The failed seq whose operation it is, put back; nil for an event.
  public var retryOf: Int64?
  /// Who sent the event of the failed seq, when it had a key.
  public var sender: LogRecord.Sender?
  /// Commits between the outside event and it.
  public var hops = 0

  /// For tools that put an event into a log.
  public init(
    id: EventID, key: EventKey? = nil, kind: EventKind, name: String, payload: [UInt8],
    priority: Priority? = nil, source: UInt64 = 0, admitted: Int64, triggers: [String]
  ) {
    self.id = id
    self.key = key
    self.kind = kind
    self.name = name
    self.payload = payload
    self.priority = priority
    self.source = source
    self.admitted = admitted
    self.triggers = triggers
  }
}
