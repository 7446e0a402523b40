/// How much is done at most while the engine lock is held, but for what is begun then: the rest waits until others had
/// it. Steps are of about a tenth of a microsecond.
package enum HoldBounds {
  /// Deciding what the frontier allows.
  package static let decisions = 20_000
  /// Admitting events: from outside, from commits, from gates, retries.
  package static let arrivals = 2048
  /// Steps of the queue in what has arrived: an event that makes another more urgent looks through it.
  package static let queueSteps = 200_000
  /// Bytes of events that are copied for the triggers that commits reach.
  package static let emittedBytes = 1 << 20
  /// Versions that nobody reads any more, freed.
  package static let freed = 16_384
}
