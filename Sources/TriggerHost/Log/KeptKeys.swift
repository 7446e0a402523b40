/// The keys of senders that a log keeps in parts.
package struct KeptKeys: Sendable {
  /// The number of a part, and its `KeyPart.entries`.
  package typealias Part = (number: Int64, entries: [UInt8])

  /// The parts, oldest first.
  package var parts: [Part] = []
  /// The seed of the hashes in the parts.
  package var seed: UInt64 = 0
  /// The parts have the rows of all events that records up to this seq have decided.
  package var through = Int64.max
  /// When the newest event of the rows was admitted, in nanoseconds since 1970.
  package var newest = Int64.min
  /// Reads the rows of a part; nil when it is gone. Any thread.
  package var reader: @Sendable (_ part: Int64) throws -> [UInt8]? = { _ in nil }

  package init() {}
}
