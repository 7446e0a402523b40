import DequeModule

/// Deferred operations: they run on without a seq and take a new one at the tail when they are finished
/// and everything they must stay behind has taken its own.
///
/// An operation stays behind earlier parked ones with its order key, and behind the reservation when it
/// ran into it. Where a failed operation keeps its place until it is tried again, its order key has a turn: only
/// the operation whose turn it is goes on, parked or not, and the others follow one by one. There is one
/// reservation at a time, and operations with its holder's order key are exempt from it, so nobody the holder
/// waits for ever waits for the holder. Taking the seq only when finished
/// means that a slow operation holds up the frontier once, at its first seq, and never again. A pure state
/// machine; every call is O(1) amortized but `release`.
struct Parking<Element: AnyObject> {
  private struct Spot {
    let operation: Element
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
  /// Whose turn it is among the operations of an order key, the others wait; nil inside: a retry's that has not been
  /// made yet.
  private var turns: [UInt64: ObjectIdentifier?] = [:]
  /// The operation whose read set is reserved: writers of it are deferred until it is decided.
  private(set) var holder: Element?

  var count: Int { spots.count }
  var isEmpty: Bool { spots.isEmpty && turns.isEmpty }
  /// Something is parked that waits for no turn. O(order keys that have something parked).
  var isMoving: Bool {
    turns.isEmpty
      ? !lines.isEmpty : lines.contains { key, line in turns[key].map { $0 == line.first } ?? true }
  }

  /// An operation that is dequeued must wait.
  func holds(_ operation: Element, orderKey: UInt64) -> Bool {
    if let turn = turns[orderKey] { return turn != ObjectIdentifier(operation) }
    return lines[orderKey] != nil
  }

  // MARK: Turns

  /// Others of the key wait until it is this operation's turn no more.
  func isBlocked(_ operation: Element, orderKey: UInt64) -> Bool {
    turns[orderKey].map { $0 != ObjectIdentifier(operation) } ?? false
  }

  /// Keeps the key's turn for the retry of an operation that has failed. False when it is another one's.
  mutating func keepTurn(of orderKey: UInt64, after failed: Element) -> Bool {
    if let turn = turns[orderKey], turn != ObjectIdentifier(failed) { return false }
    turns[orderKey] = .some(nil)
    return true
  }

  /// Gives the operation the turn that was kept for it, or that nobody has. False when it is another one's.
  mutating func takeTurn(of orderKey: UInt64, for operation: Element) -> Bool {
    if let turn = turns[orderKey], turn != nil { return false }
    turns[orderKey] = ObjectIdentifier(operation)
    return true
  }

  /// The turn is over: it goes to the first that is parked. Nil when none is: then it is nobody's.
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
    // Whose turn it is goes first: a retry's identity is younger than what waits for it.
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

  /// The operation runs again before it may have a seq.
  mutating func restart(_ operation: Element) {
    spots[ObjectIdentifier(operation)]?.isFinished = false
  }

  /// Makes the operation the holder when there is none.
  mutating func reserve(for operation: Element) {
    if holder == nil { holder = operation }
  }

  /// The operation is decided: whoever waited for its reservation goes on. O(count).
  mutating func release(_ operation: Element) {
    guard holder === operation else { return }
    holder = nil
    for (id, spot) in spots where spot.waitsForHolder { spots[id]!.waitsForHolder = false }
    candidates.append(
      contentsOf: spots.values.sorted { $0.identity < $1.identity }.map { ObjectIdentifier($0.operation) })
  }

  /// An operation that may have a new seq now; it stays parked until `leave`.
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

  /// Takes out an operation that `nextReady` gave. Returns true when nobody of its order key waits for anything here.
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
