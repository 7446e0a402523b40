import TriggerCore

/// Names an event that came from outside, for acknowledgements and resume tokens. Unique in a data directory,
/// because every start of a host opens an epoch of its own.
public struct EventID: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The epoch of the log in which a host accepted it, from 1; 0 for an event that a tool put back.
  public var epoch: Int64
  /// Counted from 1 in each epoch, in the order of admission. In epoch 0: the seq that failed.
  public var number: Int64

  /// An id that an engine has given before.
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

/// Identifies an event at its source, so that the engine does not take the same event twice.
public enum EventKey: Sendable, Hashable {
  /// A key that a sender chose (`Idempotency-Key`). `scope` says whose key it is. `digest` is the digest of the event's
  /// name and payload: it shows when a sender uses a key again for another event.
  case client(scope: String, key: String, digest: UInt64)
  /// A row of a feed, counted from 1. Every row up to `floor` was decided when this row was admitted, so a restarted
  /// feed reads on from there.
  case row(feed: String, number: Int64, floor: Int64)
  /// A fire of a schedule. `instant` is the time at which it was due, without jitter. Every instant after `after` and
  /// before `instant` has fired, or will not fire. Both in nanoseconds since 1970.
  case fire(job: String, instant: Int64, after: Int64)
}
