import Synchronization
import TriggerCore

/// What commits changed in one store and its backend has not looked at yet: written under the engine lock,
/// taken by the backend's line. Any thread.
///
/// The memory is bounded: what comes while `Limits.dropped` bytes wait is not noted, and the backend is told the
/// whole store instead.
package final class ChangeNotes: StoreFollower {
  package enum Limits {
    /// Bytes of notes that wait; more than a second of any store's changes.
    package static let dropped = 32 << 20
    /// A backend that is told of every commit gets them one by one up to this, and beyond one change per key.
    package static let coalesced = 1 << 20
  }

  /// Notes in seq order, as they were written.
  package struct Batch {
    package var bytes: [UInt8] = []
    /// The newest seq that was not noted for want of room; nil when all are here.
    package var dropped: Int64?
  }

  private struct State {
    var batch = Batch()
    var oldest = Int64.max
  }

  private let state = Mutex(State())
  private let keepsValues: Bool
  private let limit: Int
  /// The oldest seq that the line has not dealt with, `.max` when there is none. May be behind for a moment.
  package let due = Atomic<Int64>(.max)

  /// - Parameters:
  ///   - keepsValues: the notes hold values as well as keys.
  ///   - limit: bytes that may wait.
  package init(keepsValues: Bool, limit: Int = Limits.dropped) {
    self.keepsValues = keepsValues
    self.limit = limit
  }

  package func changed(_ entry: UnsafeMutablePointer<Entry>, to version: UnsafeMutablePointer<Version>) {
    let seq = version.pointee.seq
    let key = UnsafeRawBufferPointer(start: Entry.key(entry), count: Int(entry.pointee.keyLength))
    let isDeleted = version.isDeleted
    let value = UnsafeRawBufferPointer(
      start: Version.bytes(version), count: keepsValues && !isDeleted ? Int(version.pointee.length) : 0)
    state.withLock { state in
      if state.oldest == .max { state.oldest = seq }
      if state.batch.dropped != nil || state.batch.bytes.count >= limit {
        state.batch = Batch(dropped: seq)
      } else {
        Note.write(seq: seq, key: key, value: isDeleted ? nil : value, to: &state.batch.bytes)
      }
      if due.load(ordering: .relaxed) == .max { due.store(seq, ordering: .releasing) }
    }
  }

  /// Takes everything noted so far.
  package func take() -> Batch {
    state.withLock { state in
      defer { state = State() }
      return state.batch
    }
  }

  /// The line has dealt with what it took, except for what begins at `left`.
  package func acknowledge(left: Int64) {
    state.withLock { due.store(min(left, $0.oldest), ordering: .releasing) }
  }
}

/// One changed key of one commit: seq, lengths, key, value.
package struct Note {
  package var seq: Int64
  package var key: ArraySlice<UInt8>
  /// Nil for a deletion, empty when the notes hold no values.
  package var value: ArraySlice<UInt8>?

  package static func write(
    seq: Int64, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?, to bytes: inout [UInt8]
  ) {
    withUnsafeBytes(of: (seq, Int32(key.count), Int32(value?.count ?? -1))) {
      bytes.append(contentsOf: $0)
    }
    bytes.append(contentsOf: key)
    if let value { bytes.append(contentsOf: value) }
  }

  /// The note at `offset`, which moves behind it; nil at the end.
  package static func read(_ bytes: [UInt8], at offset: inout Int) -> Note? {
    guard offset < bytes.count else { return nil }
    let (seq, keyCount, valueCount) = bytes.withUnsafeBytes {
      $0.loadUnaligned(fromByteOffset: offset, as: (Int64, Int32, Int32).self)
    }
    let key = offset + 16
    let value = key + Int(keyCount)
    offset = value + Int(max(0, valueCount))
    return Note(seq: seq, key: bytes[key..<value], value: valueCount < 0 ? nil : bytes[value..<offset])
  }
}
