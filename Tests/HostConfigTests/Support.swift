import Foundation
import TriggerCore

import HostConfig

/// A directory that is removed when the value goes away.
final class TemporaryDirectory {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "host-config-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Writes a file, making directories on the way; gives its full path.
  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let url = URL(fileURLWithPath: path).appendingPathComponent(name)
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
    return url.path
  }

  @discardableResult
  func write(_ name: String, _ text: String) throws -> String {
    try write(name, Array(text.utf8))
  }

  func link(_ name: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(
      atPath: "\(path)/\(name)", withDestinationPath: target)
  }
}

/// A value as short text that tells ints, doubles and strings apart.
func show(_ value: Value) -> String {
  switch value {
  case .null: "null"
  case .bool(let flag): "\(flag)"
  case .int(let number): "\(number)"
  case .double(let number): "\(number)f"
  case .string(let text): "'\(text)'"
  case .bytes(let bytes): "\(bytes.count) bytes"
  case .array(let items): "[\(items.map(show).joined(separator: " "))]"
  case .map(let map): show(map)
  }
}

func show(_ map: Value.Map) -> String {
  "{\(map.sorted { $0.key < $1.key }.map { "\($0.key)=\(show($0.value))" }.joined(separator: " "))}"
}

/// A row of a feed as text: `line: name=value …` or the problem.
func show(_ row: FeedRow) -> String {
  switch row.record {
  case .success(.cells(let cells)):
    "\(row.line): \(cells.map { "\($0.name)=\(show($0.value))" }.joined(separator: " "))"
  case .success(.json(let text)): "\(row.line): \(text)"
  case .failure(let problem): problem.description
  }
}

/// The repository's root.
let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent().path
