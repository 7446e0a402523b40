/// Keys of senders that a log keeps in parts.
package struct KeptKeys: Sendable {
  /// A part: its number, and `KeyPart.entries`.
  package typealias Part = (number: Int64, entries: [UInt8])

  /// Oldest first.
  package var parts: [Part] = []
  /// Of the hashes.
  package var seed: UInt64 = 0
  /// The rows of what records up to this seq have decided are in parts.
  package var through = Int64.max
  /// When the newest of the rows was admitted.
  package var newest = Int64.min
  /// Reads the rows of a part; nil when it is gone. Any thread.
  package var reader: @Sendable (_ part: Int64) throws -> [UInt8]? = { _ in nil }

  package init() {}
}
