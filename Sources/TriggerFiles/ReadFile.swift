import Glibc

/// What came of reading a file.
package enum FileReading {
  case content([UInt8], FileStatus)
  /// No such file (any more).
  case absent
  /// It was changed while it was read: look again later.
  case torn
  /// Why it cannot be read.
  case problem(String)
}

/// Reads a regular file whole, refusing one above `cap` bytes; never waits on a pipe or a device.
///
/// - Parameter directory: what a relative path counts from; `AT_FDCWD` is the working directory.
/// - Parameter followsLink: whether the path's last name may be a link.
package func readFile(
  _ path: String, in directory: Int32 = AT_FDCWD, cap: Int, followsLink: Bool = true
) -> FileReading {
  let file: Int32
  switch openFile(path, in: directory, followsLink: followsLink) {
  case .success(let descriptor): file = descriptor
  case .failure(let problem): return problem.isAbsent ? .absent : .problem(problem.message)
  }
  defer { close(file) }
  guard let before = FileStatus.of(file) else { return .problem("cannot be read: \(errorText(errno))") }
  guard before.size <= cap else { return .problem(tooLarge(cap)) }
  switch readAll(file, expecting: before.size, cap: cap) {
  case .success(let bytes):
    guard let after = FileStatus.of(file) else { return .torn }
    return after == before && bytes.count == after.size ? .content(bytes, after) : .torn
  case .failure(let problem): return .problem(problem.message)
  }
}

/// Why a file cannot be read.
package struct ReadProblem: Error {
  package var message: String
  /// Nothing is there.
  package var isAbsent = false
  /// What is there is no file: a named pipe, a device, a socket or a directory.
  package var isOtherKind = false
}

/// Opens a regular file to read, and nothing else: what else there is may keep a reader for ever.
///
/// - Returns: its descriptor, the caller's.
package func openFile(
  _ path: String, in directory: Int32 = AT_FDCWD, followsLink: Bool = true
) -> Result<Int32, ReadProblem> {
  func fail(_ code: Int32) -> Result<Int32, ReadProblem> {
    .failure(
      ReadProblem(
        message: "cannot be read: \(errorText(code))", isAbsent: code == ENOENT || code == ENOTDIR))
  }
  func refuse(_ status: FileStatus) -> Result<Int32, ReadProblem> {
    .failure(ReadProblem(message: "is not a regular file but \(status.kindInWords)", isOtherKind: true))
  }
  let flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (followsLink ? 0 : O_NOFOLLOW)
  let file = openat(directory, path, flags)
  guard file >= 0 else {
    let code = errno
    // A socket cannot be opened at all.
    let status = code == ENXIO ? FileStatus.of(path, in: directory, followsLinks: true) : nil
    return status.map(refuse) ?? fail(code)
  }
  guard let status = FileStatus.of(file) else {
    defer { close(file) }
    return fail(errno)
  }
  if status.kind == .file { return .success(file) }
  close(file)
  return refuse(status)
}

private func tooLarge(_ cap: Int) -> String {
  cap % (1 << 20) == 0 ? "larger than \(cap >> 20) MiB" : "larger than \(cap) bytes"
}

private func readAll(_ file: Int32, expecting size: Int, cap: Int) -> Result<[UInt8], ReadProblem> {
  var problem: ReadProblem?
  // One byte more than it should have, so that the end shows at the first read that finds it.
  var bytes = [UInt8](unsafeUninitializedCapacity: size + 1) { buffer, count in
    while count < buffer.count {
      let read = read(file, buffer.baseAddress! + count, buffer.count - count)
      if read == 0 { return }
      if read > 0 {
        count += read
      } else if errno != EINTR {
        problem = ReadProblem(message: "cannot be read: \(errorText(errno))")
        return
      }
    }
  }
  if let problem { return .failure(problem) }
  // It has grown meanwhile: the caller sees that in its status.
  if bytes.count > cap { bytes.removeLast() }
  return .success(bytes)
}
