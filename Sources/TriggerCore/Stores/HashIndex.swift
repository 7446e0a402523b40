import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

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
    free(UnsafeMutableRawPointer(bitPattern: current.load(ordering: .relaxed)))
    free(next)
  }

  private static func makeBlock(capacity: Int) -> UnsafeMutablePointer<Block> {
    let block = calloc(1, headerSize + capacity * MemoryLayout<Slot>.stride)!
    let header = block.bindMemory(to: Block.self, capacity: 1)
    header.pointee.mask = capacity - 1
    return header
  }

  @inline(__always)
  private static func slots(_ block: UnsafeMutablePointer<Block>) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(block) + headerSize
  }

  @inline(__always)
  private static func address(_ slot: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt>> {
    (slot + 8).assumingMemoryBound(to: Atomic<UInt>.self)
  }

  private var block: UnsafeMutablePointer<Block> {
    @inline(__always) get { UnsafeMutablePointer(bitPattern: current.load(ordering: .acquiring))! }
  }

  /// O(1) expected; any thread.
  @inline(__always)
  func find(
    hash: UInt64, key: UnsafePointer<UInt8>, count: Int
  ) -> UnsafeMutablePointer<Entry>? {
    let block = self.block
    let slots = Self.slots(block)
    let mask = block.pointee.mask
    var index = Int(truncatingIfNeeded: hash) & mask
    while true {
      let slot = slots + index &* MemoryLayout<Slot>.stride
      let address = Self.address(slot).pointee.load(ordering: .acquiring)
      if address == 0 { return nil }
      if address != Self.removed, slot.load(as: UInt64.self) == hash {
        let entry = UnsafeMutablePointer<Entry>(bitPattern: address)!
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
      var capacity = 16
      while capacity < live * 4 { capacity *= 2 }
      next = Self.makeBlock(capacity: capacity)
      nextUsed = 0
      moved = 0
    } else if let next {
      Self.place(entry, in: next, used: &nextUsed)
    }
    return moveSome()
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
    let slots = Self.slots(block)
    var index = Int(truncatingIfNeeded: entry.pointee.hash) & block.pointee.mask
    while true {
      let slot = slots + index &* MemoryLayout<Slot>.stride
      let address = Self.address(slot).pointee.load(ordering: .relaxed)
      if address == UInt(bitPattern: entry) { return }
      if address == 0 {
        slot.storeBytes(of: entry.pointee.hash, as: UInt64.self)
        Self.address(slot).pointee.store(UInt(bitPattern: entry), ordering: .releasing)
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
      if address == UInt(bitPattern: entry) { return cell.pointee.store(removed, ordering: .releasing) }
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
    current.store(UInt(bitPattern: next), ordering: .releasing)
    self.next = nil
    used = nextUsed
    return UnsafeMutableRawPointer(old)
  }
}
