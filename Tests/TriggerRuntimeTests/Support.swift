import Foundation
import Synchronization
import TriggerRuntime

/// A directory that goes with the value.
final class ProjectDirectory: Sendable {
  let path: String

  init(_ files: KeyValuePairs<String, String>) throws {
    path = NSTemporaryDirectory() + "runtime-\(UUID().uuidString)"
    for (name, text) in files { try write(name, text) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func write(_ name: String, _ text: String) throws {
    let url = URL(fileURLWithPath: "\(path)/\(name)")
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: url)
  }
}

/// What comes in, to be waited for. Any thread.
final class Heard<Item: Sendable>: Sendable {
  private let state = Mutex<(items: [Item], readers: [AsyncStream<Item>.Continuation])>(([], []))

  var all: [Item] { state.withLock { $0.items } }

  func hear(_ item: Item) {
    state.withLock { state in
      state.items.append(item)
      for reader in state.readers { reader.yield(item) }
    }
  }

  /// The first that matches, of those that have come and those that will.
  ///
  /// - Throws: `CancellationError`, when the time of the test is over.
  func first(where matches: (Item) -> Bool) async throws -> Item {
    let (items, reader) = AsyncStream.makeStream(of: Item.self)
    state.withLock { state in
      for item in state.items { reader.yield(item) }
      state.readers.append(reader)
    }
    for await item in items where matches(item) { return item }
    throw CancellationError()
  }
}

extension Heard<HostNotice> {
  func first(_ code: HostNotice.Code) async throws -> HostNotice {
    try await first { $0.code == code }
  }
}

extension HostOptions {
  init(_ heard: Heard<HostNotice>) {
    self.init()
    observer = { heard.hear($0) }
  }
}
