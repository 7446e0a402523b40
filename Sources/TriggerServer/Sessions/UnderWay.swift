import Synchronization

/// How much of one client is under way: messages that were read and are not decided. Any thread.
final class UnderWay: Sendable {
  /// Bytes that may be under way before no more is read. A message counts as some more than it has: an operation is more than
  /// its payload.
  static let most = 2 << 20
  static let each = 512

  private let bytes = Atomic<Int>(0)

  /// More may be read.
  var hasRoom: Bool { bytes.load(ordering: .relaxed) < Self.most }

  func begin(_ bytes: Int) { self.bytes.add(bytes + Self.each, ordering: .relaxed) }

  /// - Returns: half of the room has just become free: who has stopped reading goes on.
  func done(_ bytes: Int) -> Bool {
    let (before, after) = self.bytes.subtract(bytes + Self.each, ordering: .acquiringAndReleasing)
    return before > Self.most / 2 && after <= Self.most / 2
  }
}
