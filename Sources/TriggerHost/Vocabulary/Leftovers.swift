/// What an engine leaves undone when it stops.
package struct Leftovers: Sendable, Equatable {
  /// In the queue.
  package var queued = 0
  /// At a trigger's gate.
  package var held = 0
  /// Failed operations whose next try has not come.
  package var delayed = 0
  /// Names of the triggers that were under way.
  package var running: [String] = []
}
