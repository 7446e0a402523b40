import Synchronization
import TriggerCore
import TriggerLua

/// The texts of a tree's files at addresses that stay, for Lua to read. Only what is asked for is copied: a
/// tree may hold much that no script loads. Any thread.
package final class ScriptSources: @unchecked Sendable {  // what `texts` points at never changes
  package let files: FileTree
  private let texts = Mutex<[String: Text]>([:])

  private struct Text: @unchecked Sendable {  // constant bytes
    let buffer: UnsafeMutableBufferPointer<CChar>
  }

  package init(_ files: FileTree) { self.files = files }

  deinit { for text in texts.withLock({ $0 }).values { text.buffer.deallocate() } }

  /// Of files whose text was asked for.
  package var pathsRead: Set<String> { Set(texts.withLock { $0 }.keys) }

  package func text(_ path: String) -> UnsafeBufferPointer<CChar>? {
    let text: Text? = texts.withLock { texts in
      if let known = texts[path] { return known }
      guard let bytes = files[path]?.bytes else { return nil }
      let buffer = UnsafeMutableBufferPointer<CChar>.allocate(capacity: bytes.count)
      _ = buffer.initialize(from: bytes.lazy.map { CChar(bitPattern: $0) })
      let text = Text(buffer: buffer)
      texts[path] = text
      return text
    }
    return text.map { UnsafeBufferPointer($0.buffer) }
  }
}

extension LuaHostFunctions {
  /// For a worker that loads scripts and runs none: chunks have no `ctx`, so they reach no store, and what they print
  /// goes nowhere. The context of its trees is a `ScriptSources`.
  package static let loading = LuaHostFunctions(
    store: { _, _, _, _, _ in preconditionFailure("a chunk that loads has opened a store") },
    get: { _, _, _, _, _ in preconditionFailure("a chunk that loads has read a key") },
    scanBegin: { _, _, _, _ in preconditionFailure("a chunk that loads scans") },
    scanNext: { _, _, _, _, _ in preconditionFailure("a chunk that loads scans") },
    count: { _, _, _, _ in preconditionFailure("a chunk that loads counts keys") },
    version: { _, _ in preconditionFailure("a chunk that loads asks for a version") },
    log: { _, _, _, _, _, _, _ in },
    source: { sources, path, length in
      Unmanaged<ScriptSources>.fromOpaque(sources!)._withUnsafeGuaranteedRef { sources in
        guard let text = sources.text(String(cString: path!)) else { return nil }
        length!.pointee = text.count
        return text.baseAddress
      }
    })
}
