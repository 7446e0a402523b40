import Synchronization

/// Who reads as of which seq. A reader holds a slot while it reads; the writer takes the lowest held seq
/// as the horizon below which versions are freed.
///
/// Holding is two stores and two loads: publish the seq, then make sure that the horizon has not passed it
/// meanwhile. Both sides use sequentially consistent order, so either the writer sees the slot or the
/// reader sees the new horizon and tries again (the hazard-pointer argument of Michael 2004).
package final class SnapshotRegistry: Sendable {
  package struct Slot: Sendable { fileprivate let index: Int }

  private static let free = Int64.max
  /// One cache line per slot: a reader's store does not disturb its neighbours.
  private static let stride = 8

  // Points at atomics and never changes after init.
  private nonisolated(unsafe) let slots: UnsafeMutablePointer<Atomic<Int64>>
  private let capacity: Int
  private let horizon = Atomic<Int64>(0)
  private let taken: Mutex<[Bool]>

  /// The newest seq that readers outside of executions may see: committed, and durable where there is a log.
  package let visible: Atomic<Int64>

  package init(capacity: Int, visible: Int64 = 0) {
    self.capacity = capacity
    self.visible = Atomic(visible)
    slots = .allocate(capacity: capacity * Self.stride)
    for index in 0..<(capacity * Self.stride) { (slots + index).initialize(to: Atomic(Self.free)) }
    taken = Mutex(Array(repeating: false, count: capacity))
  }

  deinit { slots.deallocate() }

  /// A slot of one's own, nil when all are taken.
  package func takeSlot() -> Slot? {
    taken.withLock { taken in
      guard let index = taken.firstIndex(of: false) else { return nil }
      taken[index] = true
      return Slot(index: index)
    }
  }

  package func giveBack(_ slot: Slot) {
    release(slot)
    taken.withLock { $0[slot.index] = false }
  }

  /// Holds the newest visible seq and returns it.
  @inline(__always)
  package func hold(_ slot: Slot) -> Int64 {
    let cell = slots + slot.index &* Self.stride
    while true {
      let seq = visible.loadAcquiring()
      cell.pointee.storeInOrder(seq)
      if horizon.loadInOrder() <= seq { return seq }
    }
  }

  @inline(__always)
  package func release(_ slot: Slot) {
    (slots + slot.index &* Self.stride).pointee.storeReleasing(Self.free)
  }

  /// The lowest seq that a held slot or `undecided` needs. Writer only; O(slots).
  package func advanceHorizon(undecided: Int64) -> Int64 {
    let wanted = min(visible.loadRelaxed(), undecided)
    horizon.storeInOrder(wanted)
    var lowest = wanted
    for index in 0..<capacity {
      lowest = min(lowest, (slots + index &* Self.stride).pointee.loadInOrder())
    }
    return lowest
  }

  /// The oldest held seq, nil when none is held. Any thread.
  package var oldestHeld: Int64? {
    var lowest = Self.free
    for index in 0..<capacity {
      lowest = min(lowest, (slots + index &* Self.stride).pointee.load(ordering: .relaxed))
    }
    return lowest == Self.free ? nil : lowest
  }
}
