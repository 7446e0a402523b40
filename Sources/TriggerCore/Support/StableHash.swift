/// A 64-bit hash of text that is the same in every process, on every machine and in every release: for
/// jitter and identities that must replay. FNV-1a (Fowler, Noll, Vo). O(bytes).
public enum StableHash {
  /// The hash of the UTF-8 bytes of `text`; texts that only Unicode equivalence makes equal differ.
  public static func of(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}
