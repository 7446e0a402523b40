/// The most work that one holder of the engine lock begins. The rest waits until other threads have had the lock. One
/// step is about a tenth of a microsecond.
package enum HoldBounds {
  /// Steps of deciding operations at the frontier.
  package static let decisions = 20_000
  /// Operations that are admitted: of events from outside, of commits, from gates, of retries. For each of these alone.
  package static let arrivals = 2048
  /// Steps of the queue while it admits what has arrived. An event that makes a queued operation more urgent searches
  /// the queue.
  package static let queueSteps = 200_000
  /// Bytes of events that the engine copies for the triggers that commits reach.
  package static let emittedBytes = 1 << 20
  /// Versions that the engine frees because nobody reads them any more.
  package static let freed = 16_384
}
