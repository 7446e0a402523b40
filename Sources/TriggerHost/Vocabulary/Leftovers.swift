/// The operations that an engine leaves undecided when it stops.
package struct Leftovers: Sendable, Equatable {
  /// Operations in the queue.
  package var queued = 0
  /// Operations that a trigger's gate holds.
  package var held = 0
  /// Failed operations whose next try had not begun.
  package var delayed = 0
  /// Names of the triggers whose operations had begun and were not decided: one name for each operation.
  package var running: [String] = []
}
