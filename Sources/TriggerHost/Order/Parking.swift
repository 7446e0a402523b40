import DequeModule

/// Deferred operations. A deferred operation is parked: it runs on without a seq. It gets a new seq when it is finished
/// and when the operations that must come before it have their seqs. So a slow operation holds up the frontier once, at
/// its first seq, and never again.
///
/// - A parked operation stays behind earlier parked operations with its order key.
/// - An operation that writes what the holder of the reservation has read waits until the holder is decided. There is
///   one reservation at a time. It does not hold for operations with the holder's order key, so the holder never waits
///   for an operation that waits for the holder.
/// - While a failed operation keeps its place until it is tried again, its order key has a turn. Only the operation
///   whose turn it is goes on, parked or not. The others follow one by one.
///
/// A pure state machine. Every call except `release` is O(1) amortized.
struct Parking<Element: AnyObject> {
  private struct Spot {
    let operation: Element
    let identity: Int64
    let orderKey: UInt64
    var isFinished: Bool
    var waitsForHolder: Bool
  }

  private var spots: [ObjectIdentifier: Spot] = [:]
  /// The parked operations of each order key, in the order of their identities: the order in which they were dequeued.
  private var lines: [UInt64: Deque<ObjectIdentifier>] = [:]
  /// Operations that may have become ready for a seq.
  private var candidates: Deque<ObjectIdentifier> = []
  /// The operation whose turn it is, for each order key that has a turn. The inner nil: it is the turn of a retry that
  /// has not been made yet.
  private var turns: [UInt64: ObjectIdentifier?] = [:]
  /// The operation whose read set is reserved. Until it is decided, operations that write there are deferred.
  private(set) var holder: Element?

  var count: Int { spots.count }
  var isEmpty: Bool { spots.isEmpty && turns.isEmpty }
  /// True when an operation is parked that waits for no turn. O(order keys with parked operations).
  var isMoving: Bool {
    turns.isEmpty
      ? !lines.isEmpty : lines.contains { key, line in turns[key].map { $0 == line.first } ?? true }
  }

  /// Whether an operation that is dequeued must wait.
  func holds(_ operation: Element, orderKey: UInt64) -> Bool {
    if let turn = turns[orderKey] { return turn != ObjectIdentifier(operation) }
    return lines[orderKey] != nil
  }

  // MARK: Turns

  /// Whether it is the turn of another operation with the order key.
  func isBlocked(_ operation: Element, orderKey: UInt64) -> Bool {
    turns[orderKey].map { $0 != ObjectIdentifier(operation) } ?? false
  }

  /// Keeps the key's turn for the retry of a failed operation. False when it is the turn of another operation.
  mutating func keepTurn(of orderKey: UInt64, after failed: Element) -> Bool {
    if let turn = turns[orderKey], turn != ObjectIdentifier(failed) { return false }
    turns[orderKey] = .some(nil)
    return true
  }

  /// Gives the operation a turn that was kept for a retry, or that no operation has. False when it is the turn of
  /// another operation.
  mutating func claimTurn(of orderKey: UInt64, for operation: Element) -> Bool {
    if let turn = turns[orderKey], turn != nil { return false }
    turns[orderKey] = ObjectIdentifier(operation)
    return true
  }

  /// Passes the turn on to the first parked operation with the order key, and returns that operation. Nil when none is
  /// parked: then the key has no turn any more.
  mutating func passTurn(of orderKey: UInt64) -> Element? {
    guard let next = lines[orderKey]?.first else {
      turns[orderKey] = nil
      return nil
    }
    turns[orderKey] = next
    candidates.append(next)
    return spots[next]!.operation
  }

  mutating func park(
    _ operation: Element, identity: Int64, orderKey: UInt64, isFinished: Bool, waitsForHolder: Bool = false
  ) {
    let id = ObjectIdentifier(operation)
    var line = lines.removeValue(forKey: orderKey) ?? []
    // The operation whose turn it is goes first: a retry has a greater identity than the operations that wait for it.
    let place =
      turns[orderKey] == id ? 0 : line.lastIndex { spots[$0]!.identity < identity }.map { $0 + 1 } ?? 0
    line.insert(id, at: place)
    lines[orderKey] = line
    spots[id] = Spot(
      operation: operation, identity: identity, orderKey: orderKey, isFinished: isFinished,
      waitsForHolder: waitsForHolder && holder != nil)
    candidates.append(id)
  }

  mutating func finish(_ operation: Element) {
    let id = ObjectIdentifier(operation)
    precondition(spots[id] != nil, "finished an operation that is not parked")
    spots[id]!.isFinished = true
    candidates.append(id)
  }

  /// Notes that the operation runs again before it has a seq.
  mutating func restart(_ operation: Element) {
    spots[ObjectIdentifier(operation)]?.isFinished = false
  }

  /// Makes the operation the holder of the reservation, unless there is one.
  mutating func reserve(for operation: Element) {
    if holder == nil { holder = operation }
  }

  /// Notes that the operation is decided. When it was the holder, the operations that waited for it go on. O(count).
  mutating func release(_ operation: Element) {
    guard holder === operation else { return }
    holder = nil
    for (id, spot) in spots where spot.waitsForHolder { spots[id]!.waitsForHolder = false }
    candidates.append(
      contentsOf: spots.values.sorted { $0.identity < $1.identity }.map { ObjectIdentifier($0.operation) })
  }

  /// An operation that may have a new seq now. It stays parked until `leave`.
  mutating func nextReady() -> Element? {
    while let id = candidates.first {
      if let spot = spots[id], spot.isFinished, !spot.waitsForHolder, lines[spot.orderKey]?.first == id,
        !isBlocked(spot.operation, orderKey: spot.orderKey)
      {
        return spot.operation
      }
      candidates.removeFirst()
    }
    return nil
  }

  /// Removes an operation that `nextReady` gave. Returns true when its order key has no parked operation and no turn
  /// left.
  mutating func leave(_ operation: Element) -> Bool {
    let id = ObjectIdentifier(operation)
    guard let spot = spots.removeValue(forKey: id), var line = lines.removeValue(forKey: spot.orderKey) else {
      return false
    }
    if line.first == id { line.removeFirst() } else { line.removeAll { $0 == id } }
    guard let next = line.first else { return turns[spot.orderKey] == nil }
    lines[spot.orderKey] = line
    candidates.prepend(next)
    return false
  }

  func visit(_ body: (Element, _ isFinished: Bool) -> Void) {
    for spot in spots.values { body(spot.operation, spot.isFinished) }
  }
}
