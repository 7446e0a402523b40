import TriggerCore

/// What stores hold, each in 64 bits, as of one seq.
public struct StateDigests: Sendable, Hashable {
  /// One store.
  public struct Store: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// Of what it holds.
    public var digest: StoreDigest

    /// For tests and tools; the engine makes its own.
    public init(name: String, digest: StoreDigest) {
      self.name = name
      self.digest = digest
    }
  }

  /// Everything up to this seq is in, nothing after it.
  public var seq: Int64
  /// In byte order of the names.
  public var stores: [Store]

  /// - Parameter stores: in byte order of the names.
  public init(seq: Int64, stores: [Store]) {
    self.seq = seq
    self.stores = stores
  }

  /// As a checkpoint keeps them: a CBOR array.
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
  /// What was kept with the commits.
  public var kept: StoreDigest
  /// Of what was rebuilt.
  public var found: StoreDigest

  /// `store 'y' as of seq 24 is not what was committed: its digest is ..., the one kept is ...`.
  public var description: String {
    "store '\(store)' as of seq \(seq) is not what was committed: its digest is \(found), the one kept is \(kept)"
  }
}
