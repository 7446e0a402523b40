import Glibc

/// Which file a path leads to: that may change.
struct FileIdentity: Equatable {
  private let device: dev_t
  private let inode: ino_t

  /// Nil when there is none.
  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    (device, inode) = (status.st_dev, status.st_ino)
  }
}
