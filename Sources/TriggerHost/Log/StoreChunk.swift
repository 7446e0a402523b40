import TriggerCore

/// A part of a store as a checkpoint keeps it: consecutive keys, all as of one seq. Valid as long as the
/// bytes it was read from.
package struct StoreChunk {
  package struct Item {
    package var key: UnsafeBufferPointer<UInt8>
    /// Canonical encoding.
    package var value: UnsafeRawBufferPointer
    /// Of the key's last change.
    package var seq: Int64
  }

  package var store: String
  /// The seq it was read as of.
  package var seq: Int64
  /// Of the last commit that changed the store, as far as this part and those before it tell. After the last part it
  /// is at or after every change up to the seq of the first part, and not after the seq of the last.
  package var changed: Int64
  package var items: [Item]

  /// - Throws: `LogDamage` when the bytes are no chunk.
  package init(decoding bytes: UnsafeRawBufferPointer) throws(LogDamage) {
    var reader = CBORReader(bytes)
    guard try reader.array() == 4 else { throw LogDamage("no part of a store", offset: 0) }
    store = try reader.text()
    seq = try reader.int()
    changed = try reader.int()
    let count = try reader.array()
    items = []
    items.reserveCapacity(count / 3)
    for _ in 0..<count / 3 {
      let key = try reader.blob().bindMemory(to: UInt8.self)
      guard key.count > 0 else { throw LogDamage("an empty key", offset: reader.offset) }
      items.append(Item(key: key, value: try reader.blob(), seq: try reader.int()))
    }
  }
}

/// A `StoreChunk`, encoded.
package struct StorePart: Sendable {
  package var bytes: [UInt8]
  /// Where in the bytes strings lie that are likely to be elsewhere as well, in order and apart.
  package var contents: [Range<Int>]

  package init(bytes: [UInt8], contents: [Range<Int>]) { (self.bytes, self.contents) = (bytes, contents) }
}
