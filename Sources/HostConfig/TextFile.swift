import Foundation

/// Reads a small text file whole: at most 1 MiB of UTF-8, a byte order mark removed.
///
/// - Parameter name: what messages call the file.
func readTextFile(_ path: String, name: String) -> Result<String, ConfigProblem> {
  readFile(path, name: name, cap: ConfigNode.Limit.fileSize).flatMap { bytes in
    let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
    if let text = String(validating: body, as: UTF8.self) { return .success(text) }
    let line = 1 + lineOfFirstInvalidByte(body)
    return .failure(ConfigProblem(file: name, line: line, message: "not UTF-8 text"))
  }
}

/// Reads a regular file whole, refusing one above `cap` bytes; never waits on a pipe or a device.
func readFile(_ path: String, name: String, cap: Int) -> Result<[UInt8], ConfigProblem> {
  func fail(_ message: String) -> Result<[UInt8], ConfigProblem> {
    .failure(ConfigProblem(file: name, message: message))
  }
  let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
  guard descriptor >= 0 else { return fail("cannot be read: \(errorText(errno))") }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { return fail("cannot be read: \(errorText(errno))") }
  guard status.st_mode & S_IFMT == S_IFREG else { return fail("is not a regular file") }
  var bytes: [UInt8] = []
  var block = [UInt8](repeating: 0, count: 1 << 16)
  while bytes.count <= cap {
    let count = read(descriptor, &block, block.count)
    if count == 0 { return .success(bytes) }
    if count < 0 {
      if errno == EINTR { continue }
      return fail("cannot be read: \(errorText(errno))")
    }
    bytes += block[..<count]
  }
  return fail("larger than \(cap >> 20) MiB")
}

/// The system's words for an error number.
func errorText(_ code: Int32) -> String {
  String(cString: strerror(code)).lowercased()
}

/// `path` as it stands when absolute, otherwise below `directory`.
func resolve(_ path: String, below directory: String) -> String {
  if path.hasPrefix("/") || directory.isEmpty { return path }
  return directory.hasSuffix("/") ? directory + path : "\(directory)/\(path)"
}

private func lineOfFirstInvalidByte(_ bytes: ArraySlice<UInt8>) -> Int {
  var lines = 0
  for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
    if String(validating: line, as: UTF8.self) == nil { break }
    lines += 1
  }
  return lines
}
