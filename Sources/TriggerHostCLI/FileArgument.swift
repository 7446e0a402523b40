import ArgumentParser
import Foundation

/// The text of an argument, or of the file that it names as `@FILE`.
///
/// - Parameter option: what messages call the argument.
func textOrFile(_ argument: String, _ option: String) throws -> String {
  guard argument.hasPrefix("@") else { return argument }
  let path = String(argument.dropFirst())
  let bytes: [UInt8]
  switch readWhole(path) {
  case .success(let content): bytes = content
  case .failure(let error): throw ValidationError("\(option): \(path) cannot be read: \(error)")
  }
  let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
  guard let text = String(validating: body, as: UTF8.self) else {
    throw ValidationError("\(option): \(path) is not UTF-8 text")
  }
  return text
}

/// What the system says of a call that failed: Foundation's errors do not tell.
struct SystemError: Error, CustomStringConvertible {
  private let code = errno

  var description: String {
    let text = String(cString: strerror(code))
    return text.prefix(1).lowercased() + text.dropFirst()
  }
}

/// Reads a file to its end, also one that is a pipe.
private func readWhole(_ path: String) -> Result<[UInt8], SystemError> {
  guard let file = fopen(path, "r") else { return .failure(SystemError()) }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var part = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = fread(&part, 1, part.count, file)
    bytes += part[..<count]
    if count == 0 { return ferror(file) == 0 ? .success(bytes) : .failure(SystemError()) }
  }
}
