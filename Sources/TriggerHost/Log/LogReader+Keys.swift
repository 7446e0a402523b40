import Synchronization
import TriggerCore

extension LogReader {
  /// The keys of the day, in the form in which a host keeps them in memory: 16 bytes each. O(keys).
  ///
  /// - Throws: `LogError` when a part is damaged.
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

  /// Calls `body` with each damaged part: its number, and what is wrong with it. Checks checksums, rows and entries.
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

  /// Makes the entries of a part anew from its rows, so damaged entries lose nothing.
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

/// Reads the rows of keys that senders use again. It has a source of its own, opened at the first such key, so a sender
/// waits only for other senders who use a key again. Any thread.
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
