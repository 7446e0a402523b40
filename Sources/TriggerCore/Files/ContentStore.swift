import Synchronization

/// Makes contents, each distinct one once: bytes that some tree still holds are not kept a second time.
/// Holds no content itself. Any thread.
public final class ContentStore: Sendable {
  fileprivate struct Weak { weak var content: FileContent? }
  fileprivate struct State {
    var contents: [FileContent.ID: Weak] = [:]
    /// Entries at which those of gone contents are swept out.
    var sweepAt = 1024
  }
  private let state = Mutex(State())

  /// An empty store.
  public init() {}

  /// The content with these bytes: the one that is there, or a new one. O(bytes).
  public func content(_ bytes: [UInt8]) -> FileContent {
    let id = FileContent.ID(of: bytes)
    return state.withLock { state in
      // Equal ids with other bytes: the newer one is kept apart.
      if let known = state.contents[id]?.content {
        return known.bytes == bytes ? known : FileContent(id, bytes)
      }
      let content = FileContent(id, bytes)
      state.contents[id] = Weak(content: content)
      if state.contents.count > state.sweepAt { state.sweep() }
      return content
    }
  }

  /// Distinct contents that somebody holds. O(contents).
  public var count: Int {
    state.withLock { state in
      state.sweep()
      return state.contents.count
    }
  }
}

extension ContentStore.State {
  fileprivate mutating func sweep() {
    contents = contents.filter { $0.value.content != nil }
    sweepAt = max(1024, 2 * contents.count)
  }
}
