import TriggerCore

/// A part of a store in a checkpoint: consecutive keys, all as of one seq. Valid as long as the bytes from which it was
/// read.
package struct StoreChunk {
  package struct Item {
    package var key: UnsafeBufferPointer<UInt8>
    /// The value in canonical encoding.
    package var value: UnsafeRawBufferPointer
    /// The seq of the key's last change.
    package var seq: Int64
  }

  package var store: String
  /// The seq as of which the keys were read.
  package var seq: Int64
  /// The seq of the last commit that changed the store, as far as this part and the parts before it tell. In the last
  /// part it is not before any change up to the first part's `seq`, and not after the last part's `seq`.
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

/// An encoded `StoreChunk`.
package struct StorePart: Sendable {
  package var bytes: [UInt8]
  /// The places in the bytes of strings that are likely to be elsewhere too, in order and apart.
  package var contents: [Range<Int>]

  package init(bytes: [UInt8], contents: [Range<Int>]) { (self.bytes, self.contents) = (bytes, contents) }
}
