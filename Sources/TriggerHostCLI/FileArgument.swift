import ArgumentParser
import Foundation
import TriggerCore
import TriggerFiles

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
  do throws(InvalidUTF8) { return try String(text: body) } catch {
    throw ValidationError("\(option): \(path): \(error)")
  }
}

/// Bytes that an argument may be long.
private let argumentLimit = 64 << 20

private struct ArgumentProblem: Error, CustomStringConvertible {
  var description: String
}

/// Reads a file to its end, also one that is a pipe (`@<(jq ...)`). One that nobody writes into is not waited for,
/// and one without an end is given up.
private func readWhole(_ path: String) -> Result<[UInt8], ArgumentProblem> {
  func fail(_ code: Int32) -> Result<[UInt8], ArgumentProblem> {
    .failure(ArgumentProblem(description: errorText(code)))
  }
  let file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
  guard file >= 0 else { return fail(errno) }
  defer { close(file) }
  var status = stat()
  fstat(file, &status)
  let isPipe = status.st_mode & S_IFMT == S_IFIFO
  var bytes: [UInt8] = []
  var part = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = read(file, &part, part.count)
    if count > 0 {
      bytes += part[..<count]
      if bytes.count > argumentLimit {
        return .failure(ArgumentProblem(description: "it is larger than \(argumentLimit >> 20) MiB"))
      }
    } else if count == 0 {
      if isPipe, bytes.isEmpty {
        return .failure(ArgumentProblem(description: "nobody writes into this pipe"))
      }
      return .success(bytes)
    } else if errno == EAGAIN {
      var wanted = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
      poll(&wanted, 1, -1)
    } else if errno != EINTR {
      return fail(errno)
    }
  }
}

/// What the system says of a call that failed: Foundation's errors do not tell.
struct SystemError: Error, CustomStringConvertible {
  private let code = errno

  var description: String { errorText(code) }
}
