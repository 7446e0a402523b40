import TriggerCore

/// A backend with a copy of the store that outlives the process, like a table of a database. The copy may be slow,
/// locked, behind, or changed by others. The engine does not tell this backend each commit. It shows the store as of
/// one seq, and the backend brings its copy up to date.
///
/// The commits that the backend sees are durable, so the copy is never ahead of its log.
public protocol FollowingStoreBackend: StoreBackend {
  /// Brings the copy up to the store as of `view.seq`. The engine calls this when the store has changed, after
  /// `FollowStep.look` without a change, and once when the engine stops. It calls on a serial queue of the backend's
  /// own, so a call may take long: no commit and no other backend waits for it.
  func follow(_ view: StoreView) -> FollowStep
}

extension FollowingStoreBackend {
  /// Does nothing, and the engine does not call it: `follow` does the work.
  public func apply(seq: Int64, _ changes: [StoreChange]) {}
  /// Does nothing, and the engine does not call it: `follow` does the work.
  public func replace(seq: Int64, with content: Value.Map) {}
}

/// How a call of a backend's `follow` ended, and when the engine calls again.
public struct FollowStep: Sendable {
  /// Why the copy could not be brought up to date, for people; nil: the copy is as of the view's seq.
  public var obstacle: String?
  /// The shortest time until the engine calls again. The engine gathers the changes of that time, one entry per key.
  public var rest: Duration
  /// The engine calls again after this time even when nothing has changed; nil: it waits for a change.
  public var look: Duration?

  /// - Parameter obstacle: nil when the copy is up to date.
  public init(obstacle: String? = nil, rest: Duration = .zero, look: Duration? = nil) {
    self.obstacle = obstacle
    self.rest = rest
    self.look = look
  }
}

/// One store as of one durable seq, for a backend that keeps a copy of the store. Valid during the call only.
public struct StoreView {
  /// The seq that the view shows.
  public let seq: Int64
  /// The seq of the last view that the backend followed without an obstacle; at first the seq that the engine started
  /// from.
  public let since: Int64
  /// Every key that was written or deleted after `since`, in byte order. Nil when the engine does not know them all:
  /// then any key may have changed.
  public let changedKeys: [[UInt8]]?
  /// True when the engine stops: this is its last call.
  public let isLast: Bool

  private let table: StoreTable

  init(_ table: StoreTable, seq: Int64, since: Int64, changedKeys: [[UInt8]]?, isLast: Bool) {
    self.table = table
    self.seq = seq
    self.since = since
    self.changedKeys = changedKeys
    self.isLast = isLast
  }

  /// The value of a key and the seq that wrote the value; nil when the key has none. O(size of the value).
  public func item(_ key: [UInt8]) -> (version: Int64, value: Value)? {
    key.withUnsafeBufferPointer { key in
      guard let base = key.baseAddress,
        let entry = table.entry(base, key.count, hash: KeyHash.of(base, count: key.count)),
        let version = Entry.visible(entry, at: seq), !version.isDeleted
      else { return nil }
      return (version.pointee.seq, Self.value(version))
    }
  }

  /// Every key that has a value, in byte order. O(keys).
  public func forEachKey(_ body: (_ key: [UInt8]) throws -> Void) rethrows {
    let all = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    var cursor = table.firstEntry(prefix: all)
    while let entry = cursor {
      if let version = Entry.visible(entry, at: seq), !version.isDeleted {
        try body(Array(UnsafeBufferPointer(start: Entry.key(entry), count: Int(entry.pointee.keyLength))))
      }
      cursor = table.nextEntry(entry, prefix: all)
    }
  }

  private static func value(_ version: UnsafeMutablePointer<Version>) -> Value {
    let bytes = UnsafeRawBufferPointer(start: Version.bytes(version), count: Int(version.pointee.length))
    guard let value = try? CanonicalEncoding.decode(bytes) else {
      preconditionFailure("a stored value is not in canonical encoding")
    }
    return value
  }
}
