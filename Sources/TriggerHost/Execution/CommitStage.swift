import TriggerCore

/// What a list of intents does so far, key by key, in the order in which the list first names them. Nothing is copied
/// and nothing is linked before all of it could be worked out: an intent costs what it brings, however many there are
/// of one key, and a key's value is put together once.
///
/// Points into the write set that it is made of, which must stay as it is.
package struct CommitStage {
  /// A key that the list changes.
  package struct Slot {
    package var table: Unmanaged<StoreTable>
    package let key: UnsafeBufferPointer<UInt8>
    package let hash: UInt64
    /// Nil when it was not there when the intents were prepared.
    package let entry: UnsafeMutablePointer<Entry>?
    package var change = Change.none
  }

  /// What becomes of a key.
  package enum Change {
    /// Only while the first intent is looked at.
    case none
    /// A put or a deletion: its place in the list.
    case write(Int)
    /// A canonical encoding in a replacement of the store.
    case value(UnsafeRawBufferPointer)
    case gone
    case number(Value)
    case chain(Chain)
  }

  /// Appends one after another, behind what was there.
  package struct Chain {
    package var isText: Bool
    /// Elements of a list that was there, or bytes of a text.
    package var base: UnsafeRawBufferPointer
    /// Elements, or bytes, in all.
    package var count: Int
    /// Without the head.
    package var bytes: Int
    /// Some of a text is not known to be UTF-8.
    package var hasBytes = false
    /// Places in the list; `CommitStage.following` has those between.
    package var first: Int
    package var last: Int

    /// Of the encoding.
    package var size: Int { EncodedItem.headSize(count) + bytes }
  }

  package let writes: UnsafeMutablePointer<WriteSet.Write>
  package private(set) var slots: [Slot] = []
  /// By place in the list: the next append of its chain.
  private var following: [Int32]
  /// Places of slots by key: a table of twice as many, once they are more than a look through them is worth.
  private var places: [Int32] = []
  private static let fewSlots = 8

  /// - Parameter count: of intents in the list.
  package init(_ writes: UnsafeMutablePointer<WriteSet.Write>, count: Int) {
    self.writes = writes
    following = count > 1 ? [Int32](repeating: -1, count: count) : []
  }

  /// The slot of the key of an intent. O(1) expected.
  package mutating func slot(
    of write: UnsafeMutablePointer<WriteSet.Write>, in table: Unmanaged<StoreTable>
  ) -> Int {
    slot(of: write.pointee.keyBytes, hash: write.pointee.hash, in: table, entry: write.pointee.entry)
  }

  /// - Parameter key: stays where it is.
  package mutating func slot(
    of key: UnsafeBufferPointer<UInt8>, hash: UInt64, in table: Unmanaged<StoreTable>,
    entry: UnsafeMutablePointer<Entry>?
  ) -> Int {
    if let known = find(key, hash, in: table) { return known }
    slots.append(Slot(table: table, key: key, hash: hash, entry: entry))
    if slots.count * 2 > places.count, slots.count > Self.fewSlots {
      places = [Int32](repeating: -1, count: max(64, places.count * 2))
      for index in slots.indices { enter(index) }
    } else if !places.isEmpty {
      enter(slots.count - 1)
    }
    return slots.count - 1
  }

  package func contains(_ key: UnsafeBufferPointer<UInt8>, in table: Unmanaged<StoreTable>) -> Bool {
    find(key, KeyHash.of(key.baseAddress!, count: key.count), in: table) != nil
  }

  private func find(_ key: UnsafeBufferPointer<UInt8>, _ hash: UInt64, in table: Unmanaged<StoreTable>)
    -> Int?
  {
    func isIt(_ slot: Slot) -> Bool {
      slot.hash == hash && slot.table.toOpaque() == table.toOpaque() && slot.key.count == key.count
        && slot.key.elementsEqual(key)
    }
    if places.isEmpty { return slots.firstIndex(where: isIt) }
    var place = start(hash, table)
    while places[place] >= 0 {
      if isIt(slots[Int(places[place])]) { return Int(places[place]) }
      place = (place + 1) & (places.count - 1)
    }
    return nil
  }

  private mutating func enter(_ index: Int) {
    var place = start(slots[index].hash, slots[index].table)
    while places[place] >= 0 { place = (place + 1) & (places.count - 1) }
    places[place] = Int32(index)
  }

  private func start(_ hash: UInt64, _ table: Unmanaged<StoreTable>) -> Int {
    // The same keys in many stores would meet otherwise.
    let mixed = (hash ^ UInt64(UInt(bitPattern: table.toOpaque()))) &* 0x9e37_79b9_7f4a_7c15
    return Int(truncatingIfNeeded: mixed >> 32) & (places.count - 1)
  }

  package mutating func set(_ slot: Int, _ change: Change) { slots[slot].change = change }

  /// Puts one more append at the end of a slot's chain.
  package mutating func extend(_ slot: Int, _ chain: Chain, by place: Int) {
    var chain = chain
    if chain.first < 0 { chain.first = place } else { following[chain.last] = Int32(place) }
    chain.last = place
    slots[slot].change = .chain(chain)
  }

  // MARK: What is there

  /// The encoded value of a slot as the list leaves it so far; nil when there is none. Not of numbers and chains.
  package func encoded(_ slot: Int) -> UnsafeRawBufferPointer? {
    switch slots[slot].change {
    case .none: Self.committed(slots[slot]).map { Version.value($0) }
    case .write(let place):
      writes[place].version!.isDeleted ? nil : Version.value(writes[place].version!)
    case .value(let bytes): bytes
    case .gone, .number, .chain: nil
    }
  }

  /// What is committed at the key of a slot, unless that is a deletion.
  package static func committed(_ slot: Slot) -> UnsafeMutablePointer<Version>? {
    let entry =
      if let entry = slot.entry, !entry.pointee.isUnlinked {
        entry
      } else {
        slot.table._withUnsafeGuaranteedRef {
          $0.entry(slot.key.baseAddress!, slot.key.count, hash: slot.hash)
        }
      }
    return entry.flatMap { Entry.visible($0, at: .max) }.flatMap { $0.isDeleted ? nil : $0 }
  }

  // MARK: Stores that are not there yet

  /// How many stores the list makes.
  package var newStores: Int {
    var found: Set<UnsafeMutableRawPointer> = []
    for slot in slots where slot.table._withUnsafeGuaranteedRef({ $0.isStandIn }) {
      found.insert(slot.table.toOpaque())
    }
    return found.count
  }

  /// Nothing can be refused any more.
  package mutating func moveToNewStores(_ make: (StoreTable) -> StoreTable) {
    for slot in slots.indices where slots[slot].table._withUnsafeGuaranteedRef({ $0.isStandIn }) {
      slots[slot].table = .passUnretained(make(slots[slot].table.takeUnretainedValue()))
    }
  }

  // MARK: What it comes to

  /// Bytes of values that are yet to be put together.
  package var bytesToMake: Int {
    slots.reduce(0) { sum, slot in
      if case .chain(let chain) = slot.change { return sum + chain.size }
      return sum
    }
  }

  /// The version that a slot's change comes to, new but for that of a put or deletion, which stays the list's.
  package func version(_ slot: Int) -> UnsafeMutablePointer<Version> {
    switch slots[slot].change {
    case .none, .gone: return Version.makeDeleted()
    case .write(let place): return writes[place].version!
    case .value(let bytes): return Version.make(bytes.baseAddress, count: bytes.count)
    case .number(let value):
      return CanonicalEncoding.encode(value).withUnsafeBytes { Version.make($0.baseAddress, count: $0.count) }
    case .chain(let chain): return version(chain)
    }
  }

  /// Owned by the list.
  package func isGiven(_ slot: Int) -> Bool { if case .write = slots[slot].change { true } else { false } }

  package func version(_ chain: Chain) -> UnsafeMutablePointer<Version> {
    var head: [UInt8] = []
    if !chain.isText { CanonicalEncoding.appendArrayHead(count: chain.count, to: &head) }
    return Version.make(count: chain.size) { bytes in
      let body = UnsafeMutableRawBufferPointer(rebasing: bytes[(chain.size - chain.bytes)...])
      body.copyMemory(from: chain.base)
      var offset = chain.base.count
      var place = chain.first
      while place >= 0 {
        let part = part(of: place, isText: chain.isText)
        UnsafeMutableRawBufferPointer(rebasing: body[offset...]).copyMemory(from: part)
        offset += part.count
        place = following.isEmpty ? -1 : Int(following[place])
      }
      if chain.isText {
        // Bytes that have become UTF-8 are text.
        let isText = !chain.hasBytes || String(validating: body, as: UTF8.self) != nil
        CanonicalEncoding.appendStringHead(isText: isText, count: chain.count, to: &head)
      }
      bytes.copyMemory(from: head)
    }
  }

  private func part(of place: Int, isText: Bool) -> UnsafeRawBufferPointer {
    let operand = UnsafeRawBufferPointer(writes[place].operand)
    guard isText, let item = EncodedItem(operand) else { return operand }
    return UnsafeRawBufferPointer(rebasing: operand[item.headSize...])
  }
}

extension UnsafeMutableRawBufferPointer {
  fileprivate func copyMemory(from bytes: [UInt8]) { bytes.withUnsafeBytes { copyMemory(from: $0) } }
}
