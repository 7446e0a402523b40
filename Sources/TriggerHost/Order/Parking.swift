/// Deferred operations: they run on without a seq and take a new one at the tail when they are finished
/// and everything they must stay behind has taken its own.
///
/// An operation stays behind earlier parked ones with its order key, and behind the reservation when it
/// ran into it. There is one reservation at a time and operations with its holder's order key are exempt
/// from it, so nobody the holder waits for ever waits for the holder. Taking the seq only when finished means that a slow operation holds up the frontier once, at its
/// first seq, and never again. A pure state machine.
struct Parking<Operation: AnyObject> {
  private struct Spot {
    var operation: Operation
    var orderKey: UInt64
    var isFinished: Bool
    var waitsForHolder: Bool
  }

  private var spots: [Spot] = []  // in the order of their first deferral
  /// The operation whose read set is reserved: writers of it are deferred until it is decided.
  private(set) var holder: Operation?

  var count: Int { spots.count }
  var isEmpty: Bool { spots.isEmpty }

  func holds(orderKey: UInt64) -> Bool { spots.contains { $0.orderKey == orderKey } }

  mutating func park(_ operation: Operation, orderKey: UInt64, isFinished: Bool, waitsForHolder: Bool = false) {
    spots.append(
      Spot(
        operation: operation, orderKey: orderKey, isFinished: isFinished,
        waitsForHolder: waitsForHolder && holder != nil))
  }

  mutating func finish(_ operation: Operation) {
    guard let index = spots.firstIndex(where: { $0.operation === operation }) else {
      preconditionFailure("finished an operation that is not parked")
    }
    spots[index].isFinished = true
  }

  mutating func restart(_ operation: Operation) {
    if let index = spots.firstIndex(where: { $0.operation === operation }) { spots[index].isFinished = false }
  }

  /// Makes the operation the holder when there is none.
  mutating func reserve(for operation: Operation) {
    if holder == nil { holder = operation }
  }

  /// The operation is decided: whoever waited for its reservation goes on.
  mutating func release(_ operation: Operation) {
    guard holder === operation else { return }
    holder = nil
    for index in spots.indices { spots[index].waitsForHolder = false }
  }

  /// Takes out the first operation that may have a new seq now. O(count).
  mutating func takeReady() -> Operation? {
    var passedKeys: Set<UInt64> = []
    for index in spots.indices {
      let spot = spots[index]
      if spot.isFinished, !spot.waitsForHolder, !passedKeys.contains(spot.orderKey) {
        spots.remove(at: index)
        return spot.operation
      }
      passedKeys.insert(spot.orderKey)
    }
    return nil
  }

  func forEach(_ body: (Operation, _ isFinished: Bool) -> Void) {
    for spot in spots { body(spot.operation, spot.isFinished) }
  }
}
