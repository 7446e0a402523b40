import TriggerCore

/// The digests of stores as of one seq. A digest stands for the content of a store in 64 bits.
public struct StateDigests: Sendable, Hashable {
  /// The digest of one store.
  public struct Store: Sendable, Hashable {
    /// The name of the store.
    public var name: String
    /// The digest of the store's keys, values and versions.
    public var digest: StoreDigest

    /// For tests and tools; the engine makes its own.
    public init(name: String, digest: StoreDigest) {
      self.name = name
      self.digest = digest
    }
  }

  /// The digests are of the state after this seq.
  public var seq: Int64
  /// The stores, in byte order of their names.
  public var stores: [Store]

  /// - Parameter stores: in byte order of their names.
  public init(seq: Int64, stores: [Store]) {
    self.seq = seq
    self.stores = stores
  }

  /// The form in which a checkpoint keeps the digests: a CBOR array.
  package var encoded: [UInt8] {
    let buffer = CBORBuffer(capacity: 256)
    buffer.array(2)
    buffer.int(seq)
    LogCoding.write(stores, to: buffer)
    return Array(buffer.bytes)
  }

  /// - Throws: `LogDamage` when the bytes are not what `encoded` gives.
  package init(decoding bytes: UnsafeRawBufferPointer) throws(LogDamage) {
    var reader = CBORReader(bytes)
    guard try reader.array() == 2 else { throw LogDamage("no digests of stores", offset: 0) }
    self.init(seq: try reader.int(), stores: try LogCoding.digests(&reader))
  }
}

/// A state that was rebuilt is not the one that was committed.
public struct StateDamage: Error, Sendable, Hashable, CustomStringConvertible {
  /// The store that differs.
  public var store: String
  /// The seq as of which it was compared.
  public var seq: Int64
  /// The digest that was kept with the commits.
  public var kept: StoreDigest
  /// The digest of the state that was rebuilt.
  public var found: StoreDigest

  /// `store 'y' as of seq 24 is not what was committed: its digest is ..., the one kept is ...`.
  public var description: String {
    "store '\(store)' as of seq \(seq) is not what was committed: its digest is \(found), the one kept is \(kept)"
  }
}
