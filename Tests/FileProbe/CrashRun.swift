import Foundation
import Synchronization
import TriggerCore
import TriggerFiles
import TriggerHost
import TriggerStores

/// Writes two commits into a directory and is killed, by the system, before one of the steps of that: for
/// `FileStoreCrashTests`. Returns when it comes to its end first.
enum CrashRun {
  static func run(directory: String, mark: String, step last: Int, exchanges: Bool) throws {
    let steps = Atomic<Int>(0)
    let backend = try FileStoreBackend(
      directory: directory, mark: mark, options: DirectoryWatcher.Options(), exchanges: exchanges
    ) { _ in
      if steps.add(1, ordering: .relaxed).newValue == last { kill(getpid(), SIGKILL) }
    }
    try backend.start(FileStoreBackend.Handlers { _ in })
    for (seq, changes) in commits {
      backend.apply(seq: Int64(seq + 1), changes.map { StoreChange(key: $0, value: $1.map { .string($0) }) })
      backend.flush()
    }
    backend.stop()
  }

  /// What the test knows too.
  private static let commits: [(Int, [(String, String?)])] = [
    (0, [("a", "1"), ("b", "1"), ("dir/c", "1")]),
    (1, [("a", "2"), ("b", nil), ("dir/c", nil), ("dir/d", "2"), ("e", "2")]),
  ]
}
