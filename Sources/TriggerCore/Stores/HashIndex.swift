import Glibc
import Synchronization

/// Finds an entry by key: open addressing, one writer, any number of readers without locks.
///
/// Readers see one block of slots at a time. When it is half full the writer builds a larger block beside
/// it, a few slots per insertion, so that no single commit pays for the growth; then it swaps the blocks.
/// Removed entries leave a marker that the next block drops. Nothing is reused while a reader may hold it:
/// `insert` hands back the old block for the caller to free once every attempt that may see it is decided.
final class HashIndex {
  struct Slot {
    var hash: UInt64
    var entry: UInt  // address; 0 empty, 1 removed
  }
  struct Block {
    var mask: Int
  }

  private static let removed: UInt = 1
  private static let slotsMovedPerInsertion = 64
  private static let headerSize = (MemoryLayout<Block>.size + 15) & ~15

  private let current: Atomic<UInt>
  // Fields below belong to the writer; readers touch `current` alone.
  private var next: UnsafeMutablePointer<Block>?  // the block being built
  private var moved = 0  // slots of the current block already in `next`
  // Slots ever taken in the two blocks. Kept out of the block's header, which readers look at.
  private var used = 0
  private var nextUsed = 0
  private var live = 0

  init() { current = Atomic(UInt(bitPattern: Self.makeBlock(capacity: 16))) }

  deinit {
    Self.free(UnsafeMutableRawPointer(bitPattern: current.load(ordering: .relaxed))!)
    if let next { Self.free(next) }
  }

  private static func makeBlock(capacity: Int) -> UnsafeMutablePointer<Block> {
    let block = calloc(1, headerSize + capacity * MemoryLayout<Slot>.stride)!
    let header = block.bindMemory(to: Block.self, capacity: 1)
    header.pointee.mask = capacity - 1
    return header
  }

  /// A block that `insert` gave back.
  static func free(_ block: UnsafeMutableRawPointer) {
    Glibc.free(block)
  }

  @inline(__always)
  private static func slots(_ block: UnsafeMutablePointer<Block>) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(block) + headerSize
  }

  @inline(__always)
  private static func address(_ slot: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt>> {
    (slot + 8).assumingMemoryBound(to: Atomic<UInt>.self)
  }

  /// Written before the slot's address, and never again: slots are not reused.
  @inline(__always)
  private static func hash(_ slot: UnsafeMutableRawPointer) -> UInt64 {
    Seam.willRead(slot)
    return slot.load(as: UInt64.self)
  }

  private var block: UnsafeMutablePointer<Block> {
    @inline(__always) get { UnsafeMutablePointer(bitPattern: current.loadAcquiring())! }
  }

  /// O(1) expected; any thread.
  @inline(__always)
  func find(
    hash: UInt64, key: UnsafePointer<UInt8>, count: Int
  ) -> UnsafeMutablePointer<Entry>? {
    let block = self.block
    let slots = Self.slots(block)
    Seam.willRead(block)
    let mask = block.pointee.mask
    var index = Int(truncatingIfNeeded: hash) & mask
    while true {
      let slot = slots + index &* MemoryLayout<Slot>.stride
      let address = Self.address(slot).pointee.loadAcquiring()
      if address == 0 { return nil }
      if address != Self.removed, Self.hash(slot) == hash {
        let entry = UnsafeMutablePointer<Entry>(bitPattern: address)!
        Seam.willRead(Entry.key(entry))
        if Int(entry.pointee.keyLength) == count, memcmp(Entry.key(entry), key, count) == 0 { return entry }
      }
      index = (index &+ 1) & mask
    }
  }

  /// Adds an entry whose key is absent. Writer only. Returns a block to free later, when growth ended.
  func insert(_ entry: UnsafeMutablePointer<Entry>) -> UnsafeMutableRawPointer? {
    let block = self.block
    Self.place(entry, in: block, used: &used)
    live += 1
    if next == nil, used * 2 > block.pointee.mask {
      next = Self.makeBlock(capacity: capacityOfNext(after: block.pointee.mask + 1))
      nextUsed = 0
      moved = 0
    } else if let next {
      Self.place(entry, in: next, used: &nextUsed)
    }
    return moveSome()
  }

  /// Room for what is there, and for what comes while the block is being built: a store that was large and has
  /// become small is still gone through slot by slot.
  private func capacityOfNext(after old: Int) -> Int {
    let insertions = old / Self.slotsMovedPerInsertion + 1
    var capacity = 16
    while capacity < live * 4 || capacity < (live + insertions) * 2 { capacity *= 2 }
    return capacity
  }

  /// Takes an entry out; it stays readable until the caller frees it. Writer only.
  func remove(_ entry: UnsafeMutablePointer<Entry>) {
    Self.mark(entry, in: block)
    if let next { Self.mark(entry, in: next) }
    live -= 1
  }

  private static func place(
    _ entry: UnsafeMutablePointer<Entry>, in block: UnsafeMutablePointer<Block>, used: inout Int
  ) {
    // One slot stays empty, or no search for an absent key would end.
    precondition(used < block.pointee.mask, "an index of keys has no room")
    let slots = Self.slots(block)
    var index = Int(truncatingIfNeeded: entry.pointee.hash) & block.pointee.mask
    while true {
      let slot = slots + index &* MemoryLayout<Slot>.stride
      let address = Self.address(slot).pointee.load(ordering: .relaxed)
      if address == UInt(bitPattern: entry) { return }
      if address == 0 {
        Seam.willWrite(UInt(entry.pointee.hash), to: slot)
        slot.storeBytes(of: entry.pointee.hash, as: UInt64.self)
        Self.address(slot).pointee.storeReleasing(UInt(bitPattern: entry))
        used += 1
        return
      }
      index = (index &+ 1) & block.pointee.mask
    }
  }

  private static func mark(_ entry: UnsafeMutablePointer<Entry>, in block: UnsafeMutablePointer<Block>) {
    let slots = Self.slots(block)
    var index = Int(truncatingIfNeeded: entry.pointee.hash) & block.pointee.mask
    while true {
      let cell = Self.address(slots + index &* MemoryLayout<Slot>.stride)
      let address = cell.pointee.load(ordering: .relaxed)
      if address == 0 { return }
      if address == UInt(bitPattern: entry) { return cell.pointee.storeReleasing(removed) }
      index = (index &+ 1) & block.pointee.mask
    }
  }

  private func moveSome() -> UnsafeMutableRawPointer? {
    guard let next else { return nil }
    let old = block
    let slots = Self.slots(old)
    let end = min(moved + Self.slotsMovedPerInsertion, old.pointee.mask + 1)
    while moved < end {
      let cell = Self.address(slots + moved &* MemoryLayout<Slot>.stride)
      let address = cell.pointee.load(ordering: .relaxed)
      if address > Self.removed {
        Self.place(UnsafeMutablePointer(bitPattern: address)!, in: next, used: &nextUsed)
      }
      moved += 1
    }
    if moved <= old.pointee.mask { return nil }
    current.storeReleasing(UInt(bitPattern: next))
    self.next = nil
    used = nextUsed
    return UnsafeMutableRawPointer(old)
  }
}
