import DequeModule

/// Deferred operations: they run on without a seq and take a new one at the tail when they are finished
/// and everything they must stay behind has taken its own.
///
/// An operation stays behind earlier parked ones with its order key, and behind the reservation when it
/// ran into it. There is one reservation at a time and operations with its holder's order key are exempt
/// from it, so nobody the holder waits for ever waits for the holder. Taking the seq only when finished
/// means that a slow operation holds up the frontier once, at its first seq, and never again. A pure state
/// machine; every call is O(1) amortized but `release`.
struct Parking<Operation: AnyObject> {
  private struct Spot {
    let operation: Operation
    let identity: Int64
    let orderKey: UInt64
    var isFinished: Bool
    var waitsForHolder: Bool
  }

  private var spots: [ObjectIdentifier: Spot] = [:]
  /// Parked operations of one order key, by identity: the order in which they were dequeued.
  private var lines: [UInt64: Deque<ObjectIdentifier>] = [:]
  /// Candidates for a seq: heads of their lines that may have become ready.
  private var candidates: Deque<ObjectIdentifier> = []
  /// The operation whose read set is reserved: writers of it are deferred until it is decided.
  private(set) var holder: Operation?

  var count: Int { spots.count }
  var isEmpty: Bool { spots.isEmpty }

  func holds(orderKey: UInt64) -> Bool { lines[orderKey] != nil }

  mutating func park(
    _ operation: Operation, identity: Int64, orderKey: UInt64, isFinished: Bool, waitsForHolder: Bool = false
  ) {
    let id = ObjectIdentifier(operation)
    var line = lines.removeValue(forKey: orderKey) ?? []
    let place = line.lastIndex { spots[$0]!.identity < identity }.map { $0 + 1 } ?? 0
    line.insert(id, at: place)
    lines[orderKey] = line
    spots[id] = Spot(
      operation: operation, identity: identity, orderKey: orderKey, isFinished: isFinished,
      waitsForHolder: waitsForHolder && holder != nil)
    candidates.append(id)
  }

  mutating func finish(_ operation: Operation) {
    let id = ObjectIdentifier(operation)
    precondition(spots[id] != nil, "finished an operation that is not parked")
    spots[id]!.isFinished = true
    candidates.append(id)
  }

  /// The operation runs again before it may have a seq.
  mutating func restart(_ operation: Operation) {
    spots[ObjectIdentifier(operation)]?.isFinished = false
  }

  /// Makes the operation the holder when there is none.
  mutating func reserve(for operation: Operation) {
    if holder == nil { holder = operation }
  }

  /// The operation is decided: whoever waited for its reservation goes on. O(count).
  mutating func release(_ operation: Operation) {
    guard holder === operation else { return }
    holder = nil
    for (id, spot) in spots where spot.waitsForHolder { spots[id]!.waitsForHolder = false }
    candidates.append(
      contentsOf: spots.values.sorted { $0.identity < $1.identity }.map { ObjectIdentifier($0.operation) })
  }

  /// An operation that may have a new seq now; it stays parked until `leave`.
  mutating func nextReady() -> Operation? {
    while let id = candidates.first {
      if let spot = spots[id], spot.isFinished, !spot.waitsForHolder, lines[spot.orderKey]?.first == id {
        return spot.operation
      }
      candidates.removeFirst()
    }
    return nil
  }

  /// Takes out an operation that `nextReady` gave. Returns true when it was the last of its order key.
  mutating func leave(_ operation: Operation) -> Bool {
    let id = ObjectIdentifier(operation)
    guard let spot = spots.removeValue(forKey: id), var line = lines.removeValue(forKey: spot.orderKey) else {
      return false
    }
    if line.first == id { line.removeFirst() } else { line.removeAll { $0 == id } }
    guard let next = line.first else { return true }
    lines[spot.orderKey] = line
    candidates.prepend(next)
    return false
  }

  func visit(_ body: (Operation, _ isFinished: Bool) -> Void) {
    for spot in spots.values { body(spot.operation, spot.isFinished) }
  }
}
