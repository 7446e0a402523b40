import Foundation
import TriggerFiles

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
private func readFile(_ path: String, name: String, cap: Int) -> Result<[UInt8], ConfigProblem> {
  let message: String
  switch TriggerFiles.readFile(path, cap: cap) {
  case .content(let bytes, _): return .success(bytes)
  case .absent: message = "cannot be read: \(errorText(errno))"
  case .torn: message = "cannot be read: it is being written"
  case .problem(let text): message = text
  }
  return .failure(ConfigProblem(file: name, message: message))
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
