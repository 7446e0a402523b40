import TriggerCore

/// Names an event that came from outside, for acknowledgements and resume tokens: unique for a data
/// directory, because every start of a host opens an epoch of its own.
public struct EventID: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The epoch of the log in which a host accepted it, from 1; 0 for an event that a tool put back.
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
