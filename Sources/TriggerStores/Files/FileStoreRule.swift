import TriggerCore
import TriggerHost

/// What may be in a store whose keys and values are to be files.
package struct FileStoreRule: StoreRule {
  private let policy: FilePathPolicy

  package init(_ policy: FilePathPolicy) { self.policy = policy }

  /// Why a change cannot become a file; nil when it can. O(change).
  func refusal(of change: StoreChange) -> String? {
    guard let value = change.value else { return nil }
    if let fault = policy.fault(of: change.key) { return fault }
    switch value {
    case .string(let text): return policy.fault(ofSize: text.utf8.count)
    case .bytes(let bytes): return policy.fault(ofSize: bytes.count)
    default: return Self.noContent
    }
  }

  package func refusal(of key: UnsafeBufferPointer<UInt8>, _ value: UnsafeRawBufferPointer?) -> String? {
    let value = value.flatMap { try? CanonicalEncoding.decode($0) }
    return refusal(of: StoreChange(key: String(decoding: key, as: UTF8.self), value: value))
  }

  package func refusal(ofKeys keys: Int, bytes: Int) -> String? {
    if keys > policy.files { return "more than \(policy.files) files" }
    return bytes > policy.treeBytes ? "more than \(FilePathPolicy.text(policy.treeBytes)) in all files" : nil
  }

  package var keysAreFilePaths: Bool { true }

  static let noContent = "a file's content is a string, UTF-8 text or bytes"
}
