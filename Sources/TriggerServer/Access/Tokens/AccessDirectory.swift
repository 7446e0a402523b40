import Glibc
import TriggerFiles

/// The directory in which a host's tokens are: files of mode 0600 that are replaced whole. Made when it is first written
/// to, with mode 0700, and so is the one above it. Any thread; calls block for the time that the disk takes.
///
/// Who runs a command as root gives what it makes to the owner of the directory above: the host can read it.
struct AccessDirectory: Sendable, Hashable {
  let path: String
  /// Nobody makes tokens by the million: what is longer is no file of ours.
  private static let cap = 16 << 20

  /// The whole content; nil when there is no such file.
  ///
  /// - Throws: `AccessError` with the file's name when it cannot be read, or others may write to it.
  func read(_ name: String) throws(AccessError) -> [UInt8]? {
    let file = "\(path)/\(name)"
    // A file is replaced whole, so one that changes while it is read is somebody else's work.
    switch readFile(file, cap: Self.cap) {
    case .absent: return nil
    case .torn: throw AccessError("\(file): is being written; only trigger-host token should write it")
    case .problem(let text): throw AccessError("\(file): \(text)")
    case .content(let bytes, let status):
      guard status.mode & 0o022 == 0 else {
        let mode = String(status.mode, radix: 8)
        throw AccessError("\(file): others may write to it (mode 0\(mode)); chmod 600 mends that")
      }
      return bytes
    }
  }

  /// Replaces a file whole: who reads it, at any moment and after a power failure, finds the old or the new content.
  ///
  /// - Throws: `AccessError` with the file's name.
  func write(_ bytes: [UInt8], as name: String) throws(AccessError) {
    try make()
    let directory = try open()
    defer { close(directory) }
    try replace(name, with: bytes, in: directory)
  }

  /// Does something while no other process does the same: reads, changes and writes are one step.
  func exclusively<Result>(_ body: () throws(AccessError) -> Result) throws(AccessError) -> Result {
    try make()
    let directory = try open()
    defer { close(directory) }
    // It ends with the descriptor. File systems that lock no directories (NFS) are let pass.
    while flock(directory, LOCK_EX) != 0, errno == EINTR {}
    return try body()
  }

  private func make() throws(AccessError) {
    if mkdir(path, 0o700) == 0 { return giveToOwnerAbove(path) }
    // The first token may be made before the host has run: the data directory, as the host itself makes it.
    if errno == ENOENT, mkdir(parent, 0o700) == 0, mkdir(path, 0o700) == 0 { return giveToOwnerAbove(path) }
    guard errno == EEXIST else { throw failure("cannot be made") }
  }

  private var parent: String { String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) }

  private func open() throws(AccessError) -> Int32 {
    let directory = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failure("cannot be opened") }
    return directory
  }

  private func replace(_ name: String, with bytes: [UInt8], in directory: Int32) throws(AccessError) {
    // Hidden, so that who follows the directory passes over it; each process has its own.
    let temporary = ".\(name).\(getpid())"
    unlinkat(directory, temporary, 0)
    let file = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure("cannot be written", name) }
    defer { close(file) }
    // Before it takes its name: after a power failure a name must not stand for half a file.
    guard writeAll(bytes, to: file), fsync(file) == 0 else {
      let error = failure("cannot be written", name)
      unlinkat(directory, temporary, 0)
      throw error
    }
    giveToOwnerAbove("\(path)/\(temporary)")
    guard renameat(directory, temporary, directory, name) == 0 else {
      let error = failure("cannot be written", name)
      unlinkat(directory, temporary, 0)
      throw error
    }
    // The name itself. Where a file system cannot, the name is as sure as it can be.
    fsync(directory)
  }

  private func writeAll(_ bytes: [UInt8], to file: Int32) -> Bool {
    bytes.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = Glibc.write(file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if count > 0 {
          rest = rest.dropFirst(count)
        } else if count == 0 || errno != EINTR {
          return false
        }
      }
      return true
    }
  }

  private func giveToOwnerAbove(_ made: String) {
    var status = stat()
    guard geteuid() == 0, stat("\(path)/..", &status) == 0, status.st_uid != 0 else { return }
    lchown(made, status.st_uid, status.st_gid)
  }

  /// With the system's words for `errno`.
  private func failure(_ what: String, _ name: String? = nil) -> AccessError {
    let reason = errorText(errno)
    return AccessError("\(path)\(name.map { "/\($0)" } ?? ""): \(what): \(reason)")
  }
}
