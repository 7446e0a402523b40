import HeapModule
import Synchronization
import TriggerCore

extension TriggerQueue {
  /// What waits for its time at a gate of its trigger, or to be tried again; the first due first. Any thread;
  /// O(n log n).
  public var waiting: [WaitingEvent] { engine.waitingEvents() }

  /// Waits until nothing happens before the clock moves: everything admitted, and all that came of it, is decided,
  /// or is among `waiting`. Returns too when the queue is stopped.
  public func waitUntilQuiet() async { await engine.waitUntilQuiet() }

  /// Somebody has moved the clock: what is due now goes on at once.
  package func clockMoved() { engine.turn(defers: false) }

  /// When the first of `waiting` goes on, nanoseconds since 1970.
  package var nextDue: Int64? {
    let now = engine.clock.read()
    return engine.withState { $0.nextDue }.map { now.wall + ($0 - now.monotonic) }
  }

  /// Triggers that run now, by name, and how many operations are queued.
  package var work: (running: [String], queued: Int) { engine.work() }
}
