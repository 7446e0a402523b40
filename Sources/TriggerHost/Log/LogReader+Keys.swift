import Synchronization
import TriggerCore

extension LogReader {
  /// What a host keeps in memory of the keys of the day. O(keys), 16 bytes each.
  ///
  /// - Throws: `LogError` for damage.
  package func keptKeys() throws -> KeptKeys {
    var kept = KeptKeys()
    kept.through = 0
    kept.seed = UInt64(bitPattern: try source.logID())
    try source.visitKeyParts { number, through, checksum, bytes in
      var entries = Array(bytes)
      if LogBlock.checksum(bytes) != checksum {
        entries = try entriesOfRows(ofPart: number, seed: kept.seed)
      }
      guard entries.count % 16 == 0, !entries.isEmpty else { throw damage(ofPart: number) }
      kept.parts.append((number, entries))
      kept.through = through
      kept.newest = entries.withUnsafeBytes {
        $0.loadUnaligned(fromByteOffset: $0.count - 8, as: Int64.self)
      }
    }
    let rows = KeyRowReader(source.another)
    kept.reader = { try rows.part($0) }
    return kept
  }

  /// What is wrong with the parts, each with its number: checksums, rows, and what is apart of them.
  package func visitDamagedKeyParts(_ body: (_ number: Int64, _ what: String) -> Void) throws {
    let seed = UInt64(bitPattern: try source.logID())
    var last: Int64 = 0
    try source.visitKeyParts { number, through, checksum, entries in
      guard let kept = try source.keyRows(ofPart: number) else { return }
      guard LogBlock.checksum(entries) == checksum,
        kept.rows.withUnsafeBytes({ LogBlock.checksum($0) }) == kept.checksum
      else { return body(number, "its checksum does not fit") }
      guard let rows = kept.rows.withUnsafeBytes({ try? KeyPart.rows($0) }),
        KeyPart(rows).entries(seed: seed).elementsEqual(entries)
      else { return body(number, "its rows are not those that it was written with") }
      if through < last {
        body(number, "it is of seqs up to \(through), and the part before it of \(last)")
      }
      last = through
    }
  }

  private func damage(ofPart number: Int64) -> LogError {
    LogError("\(path): part \(number) of the keys of senders is damaged")
  }

  /// What is apart from the rows, to be read quickly, is made of them: damage to it loses nothing.
  private func entriesOfRows(ofPart number: Int64, seed: UInt64) throws -> [UInt8] {
    guard let encoded = try keyRows(ofPart: number),
      let rows = encoded.withUnsafeBytes({ try? KeyPart.rows($0) })
    else { throw damage(ofPart: number) }
    return KeyPart(rows).entries(seed: seed)
  }

  fileprivate func keyRows(ofPart number: Int64) throws -> [UInt8]? {
    guard let (checksum, rows) = try source.keyRows(ofPart: number) else { return nil }
    guard rows.withUnsafeBytes({ LogBlock.checksum($0) }) == checksum else { throw damage(ofPart: number) }
    return rows
  }
}

/// Reads rows of keys that come again, from a source of its own, opened when the first one does: whoever sends such a
/// key waits for nobody else but another one who does. Any thread.
private final class KeyRowReader: Sendable {
  private let open: @Sendable () throws -> any LogSource
  private let reader = Mutex(Held())
  private struct Held: ~Copyable, @unchecked Sendable {  // guarded by the mutex
    var reader: LogReader?
  }

  init(_ open: @escaping @Sendable () throws -> any LogSource) { self.open = open }

  func part(_ number: Int64) throws -> [UInt8]? {
    try reader.withLock { held in
      let reader = try held.reader ?? LogReader(open())
      held.reader = reader
      return try reader.keyRows(ofPart: number)
    }
  }
}
