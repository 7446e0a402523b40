/// The bytes of a file. Immutable, so trees and the versions of a tree share it: equal contents are kept once
/// where a `ContentStore` made them.
public final class FileContent: Sendable {
  /// What a mark on disk knows contents by: length and XXH64. Told apart by chance, not against forgery.
  public struct ID: Hashable, Sendable {
    /// Length in bytes.
    public var size: Int
    /// XXH64 of the bytes.
    public var hash: UInt64

    /// An id that was computed before.
    public init(size: Int, hash: UInt64) {
      self.size = size
      self.hash = hash
    }

    /// The id of bytes. O(bytes).
    public init(of bytes: [UInt8]) {
      self.init(size: bytes.count, hash: bytes.withUnsafeBytes { XXH64.of($0) })
    }
  }

  /// Equal for equal bytes.
  public let id: ID
  /// The whole file.
  public let bytes: [UInt8]

  /// Hashes the bytes: O(bytes).
  public convenience init(_ bytes: [UInt8]) { self.init(ID(of: bytes), bytes) }

  /// The UTF-8 of a text.
  public convenience init(_ text: String) { self.init(Array(text.utf8)) }

  init(_ id: ID, _ bytes: [UInt8]) {
    self.id = id
    self.bytes = bytes
  }

  /// The file as text; nil when it is not UTF-8. O(bytes).
  public var text: String? { String(validating: bytes, as: UTF8.self) }

  /// As a store holds it: UTF-8 text as a string, anything else as a byte string. Both are strings in Lua, so
  /// what a script reads there, and puts back, are the file's bytes.
  public var value: Value { text.map { .string($0) } ?? .bytes(bytes) }

  /// The content that a store's value stands for; nil when it is neither a string nor a byte string.
  public convenience init?(_ value: Value) {
    switch value {
    case .string(let text): self.init(text)
    case .bytes(let bytes): self.init(bytes)
    default: return nil
    }
  }
}

extension FileContent: Hashable {
  /// Whether the bytes are equal. O(1) for the same object and for other ids.
  public static func == (left: FileContent, right: FileContent) -> Bool {
    left === right || (left.id == right.id && left.bytes == right.bytes)
  }

  /// Agrees with `==`. O(1).
  public func hash(into hasher: inout Hasher) { hasher.combine(id) }
}
