import Glibc
import TriggerCore
import TriggerFiles

/// Keeps a second host away from a directory: each would take what the other writes for edits, for ever. One thread at
/// a time.
///
/// It is the directory itself that is locked (flock(2)), so nothing lies around, and the lock ends with the process. File
/// systems that lock no directories (NFS) are let pass.
final class DirectoryLock {
  private let root: String
  private var file: Int32 = -1

  init(_ root: String) { self.root = root }

  deinit { release() }

  /// Locks the directory, or the one that has come in its place; one that is not there is passed over.
  ///
  /// - Throws: `FileProblem` when another host has it.
  func hold() throws(FileProblem) {
    let there = FileStatus.of(root)?.identity
    if there == nil || (file >= 0 && FileStatus.of(file)?.identity == there) { return }
    let new = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if new < 0 { return }
    guard flock(new, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
      close(new)
      throw FileProblem(
        path: root,
        message:
          "another host has this directory as a store (it is locked); end that one, or name another directory"
      )
    }
    release()
    file = new
  }

  func release() {
    if file < 0 { return }
    // A process that is being started may have the open file too, for a moment.
    flock(file, LOCK_UN)
    close(file)
    file = -1
  }
}
