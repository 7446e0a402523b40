import CFaultVFS
import Synchronization

/// A disk of one simulation. One thread.
final class SimulatedDisk {
  private static let newest = Atomic<Int>(0)
  /// What SQLite knows it by.
  let name: String
  private let disk: OpaquePointer

  init(seed: UInt64) {
    name = "simulated-\(Self.newest.wrappingAdd(1, ordering: .relaxed).newValue)"
    guard let disk = fv_disk_new(name, seed) else { preconditionFailure("no disk \(name)") }
    self.disk = disk
    fv_seed_sqlite(UInt32(truncatingIfNeeded: seed))
  }

  deinit { fv_disk_free(disk) }

  enum Call: CaseIterable {
    case open, read, write, truncate, sync, delete
    fileprivate var code: fv_call {
      switch self {
      case .open: FV_OPEN
      case .read: FV_READ
      case .write: FV_WRITE
      case .truncate: FV_TRUNCATE
      case .sync: FV_SYNC
      case .delete: FV_DELETE
      }
    }
  }

  /// The `nth` call of its kind from now fails, and all after it until the next start when it `stays`.
  func fail(_ call: Call, nth: Int, stays: Bool) {
    fv_disk_fail(disk, call.code, UInt64(nth), stays ? 1 << 40 : 1)
  }

  /// Room for so many bytes more.
  func leave(room: Int64) { fv_disk_set_space(disk, fv_disk_used(disk) + room) }
  /// Nothing fails any more.
  func heal() {
    fv_disk_set_space(disk, -1)
    for call in Call.allCases { fv_disk_fail(disk, call.code, 0, 0) }
    fv_disk_die_in(disk, 0)
  }
  /// Syncs do nothing from now on.
  func lie() { fv_disk_set_lying(disk, 1) }
  /// The process dies in the `nth` change from now.
  func die(in nth: Int) { fv_disk_die_in(disk, UInt64(nth)) }
  func die() { fv_disk_die(disk) }
  var isDead: Bool { fv_disk_is_dead(disk) != 0 }
  var changes: UInt64 { fv_disk_changes(disk) }
  func restart(powerFails: Bool) { fv_disk_restart(disk, powerFails ? 1 : 0) }
}
