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
    var identity: Int64
    var orderKey: UInt64
    var isFinished: Bool
    var waitsForHolder: Bool
  }

  private var spots: [Spot] = []  // by identity: the order of their first dequeue
  private var mayHaveReady = false
  /// The operation whose read set is reserved: writers of it are deferred until it is decided.
  private(set) var holder: Operation?

  var count: Int { spots.count }
  var isEmpty: Bool { spots.isEmpty }

  func holds(orderKey: UInt64) -> Bool { spots.contains { $0.orderKey == orderKey } }

  mutating func park(_ operation: Operation, identity: Int64, orderKey: UInt64, isFinished: Bool, waitsForHolder: Bool = false) {
    mayHaveReady = true
    let place = spots.lastIndex { $0.identity < identity }.map { $0 + 1 } ?? 0
    spots.insert(
      Spot(
        operation: operation, identity: identity, orderKey: orderKey, isFinished: isFinished,
        waitsForHolder: waitsForHolder && holder != nil), at: place)
  }

  mutating func finish(_ operation: Operation) {
    guard let index = spots.firstIndex(where: { $0.operation === operation }) else {
      preconditionFailure("finished an operation that is not parked")
    }
    spots[index].isFinished = true
    mayHaveReady = true
  }

  /// The operation runs again before it may have a seq.
  mutating func restart(_ operation: Operation) {
    guard let index = spots.firstIndex(where: { $0.operation === operation }) else { return }
    spots[index].isFinished = false
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
    mayHaveReady = true
  }

  /// The first operation that may have a new seq now; it stays parked until `leave`. O(count), and O(1)
  /// while nothing changed since it last gave nil.
  mutating func nextReady() -> Operation? {
    guard mayHaveReady else { return nil }
    var passedKeys: Set<UInt64> = []
    for spot in spots {
      if spot.isFinished, !spot.waitsForHolder, !passedKeys.contains(spot.orderKey) { return spot.operation }
      passedKeys.insert(spot.orderKey)
    }
    mayHaveReady = false
    return nil
  }

  mutating func leave(_ operation: Operation) {
    spots.removeAll { $0.operation === operation }
    mayHaveReady = true
  }

  func forEach(_ body: (Operation, _ isFinished: Bool) -> Void) {
    for spot in spots { body(spot.operation, spot.isFinished) }
  }
}
