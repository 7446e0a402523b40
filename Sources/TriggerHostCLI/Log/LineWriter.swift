import Foundation
import TriggerCore
import TriggerRuntime

/// Text to standard output or into a file, in blocks.
final class LineWriter {
  private static let blockBytes = 1 << 16

  static var standardOutput: LineWriter { LineWriter(STDOUT_FILENO, name: "standard output", path: nil) }

  private let descriptor: Int32
  private let name: String
  /// Where the file goes when it is complete.
  private let path: String?
  private var bytes: [UInt8] = []

  private init(_ descriptor: Int32, name: String, path: String?) {
    self.descriptor = descriptor
    self.name = name
    self.path = path
  }

  /// A file that takes the place of the one at `path` when it is complete.
  convenience init(replacing path: String) throws {
    let temporary = "\(path).\(getpid())"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw OutputError(name: path) }
    self.init(descriptor, name: temporary, path: path)
  }

  deinit {
    guard path != nil else { return }
    close(descriptor)
    unlink(name)  // not there any more when it is complete
  }

  /// For people.
  func put(_ text: TerminalText) throws { try exact(text.shown) }

  /// A line for programs.
  func json(_ value: Value) throws { try exact(value.jsonText.withJSONEscapes + "\n") }

  /// As it is.
  func exact(_ text: String) throws {
    bytes.append(contentsOf: text.utf8)
    if bytes.count >= Self.blockBytes { try flush() }
  }

  func flush() throws {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + done, $0.count - done) }
      if count >= 0 { done += count } else if errno != EINTR { throw OutputError(name: name) }
    }
    bytes.removeAll(keepingCapacity: true)
  }

  /// Writes what is left; a file is complete from now on.
  func finish() throws {
    try flush()
    guard let path else { return }
    guard fsync(descriptor) == 0, rename(name, path) == 0 else { throw OutputError(name: path) }
  }
}

/// A file cannot be written.
struct OutputError: ExpectedFailure, CustomStringConvertible {
  let description: String
  fileprivate init(name: String) { description = "\(name): \(String(cString: strerror(errno)))" }
}
