import Foundation
import TriggerCore
import TriggerFiles

/// Reads a small text file whole: at most 1 MiB of UTF-8, a byte order mark removed.
///
/// - Parameter name: what messages call the file.
func readTextFile(_ path: String, name: String) -> Result<String, ConfigProblem> {
  readFile(path, name: name, cap: ConfigNode.Limit.fileSize).flatMap { bytes in
    let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
    do throws(InvalidUTF8) { return .success(try String(text: body)) } catch {
      var fault = error
      let before = body.prefix(error.offset)
      if let feed = before.lastIndex(of: UInt8(ascii: "\n")) { fault.offset -= feed - body.startIndex + 1 }
      let line = 1 + before.count { $0 == UInt8(ascii: "\n") }
      return .failure(ConfigProblem(file: name, line: line, message: "\(fault)"))
    }
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
