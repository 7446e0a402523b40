import Glibc

/// What the system says of a file without reading it: when all of it is as before, so is the content, as far
/// as a file system's clock can tell.
package struct FileStatus: Hashable, Sendable {
  package enum Kind: Sendable { case file, directory, link, other }

  /// Names a file or directory whatever path leads to it.
  package struct Identity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
  }

  package var kind: Kind
  private var format: UInt32
  package var identity: Identity
  package var size: Int
  /// Permission bits.
  package var mode: UInt32
  /// Names that the file has.
  package var names: Int
  /// Of the content and of anything else, nanoseconds since 1970.
  var modified: Int64
  var changed: Int64

  init(_ status: stat) {
    kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .directory
      case S_IFLNK: .link
      default: .other
      }
    format = UInt32(status.st_mode & S_IFMT)
    identity = Identity(
      device: UInt64(truncatingIfNeeded: status.st_dev), inode: UInt64(status.st_ino))
    size = Int(status.st_size)
    mode = UInt32(status.st_mode & 0o7777)
    names = Int(status.st_nlink)
    modified = Self.nanoseconds(status.st_mtim)
    changed = Self.nanoseconds(status.st_ctim)
  }

  /// `a named pipe`: for messages about what was to be a file.
  package var kindInWords: String {
    switch mode_t(format) {
    case S_IFIFO: "a named pipe"
    case S_IFDIR: "a directory"
    case S_IFCHR, S_IFBLK: "a device"
    case S_IFSOCK: "a socket"
    case S_IFREG: "a regular file"
    default: "something else"
    }
  }

  private static func nanoseconds(_ time: timespec) -> Int64 {
    Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Of what a path leads to, or with `followsLinks` off of a link itself; nil, with `errno` set, when
  /// nothing is there.
  package static func of(_ path: String, followsLinks: Bool = true) -> FileStatus? {
    var status = stat()
    guard (followsLinks ? stat(path, &status) : lstat(path, &status)) == 0 else { return nil }
    return FileStatus(status)
  }

  /// Of an entry of an open directory, by default itself when it is a link.
  package static func of(_ name: String, in directory: Int32, followsLinks: Bool = false) -> FileStatus? {
    var status = stat()
    guard fstatat(directory, name, &status, followsLinks ? 0 : AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
    return FileStatus(status)
  }

  /// Of an open file.
  package static func of(_ file: Int32) -> FileStatus? {
    var status = stat()
    return fstat(file, &status) == 0 ? FileStatus(status) : nil
  }

  /// Changed so short a time before `now` that a further change may not show: clocks of file systems tick
  /// every 2 s (FAT), 1 s (older network mounts) or some ms.
  func isFresh(at now: Int64) -> Bool { isNear(now, within: 2_500_000_000) }

  /// Whether nothing has happened to it for so many nanoseconds.
  package func isQuiet(for span: Int64) -> Bool { !isNear(Self.now(), within: span) }

  /// A time far ahead is of before somebody set the clock back.
  private func isNear(_ now: Int64, within span: Int64) -> Bool {
    let age = now - max(modified, changed)
    return age < span && age > -span
  }

  /// The clock of `modified`, as far as the file system is a local one.
  static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return nanoseconds(time)
  }
}

/// The system's words for an error number.
package func errorText(_ code: Int32) -> String { String(cString: strerror(code)).lowercased() }
