import TriggerCore

/// A backend that keeps a copy of the store which outlives the process, and which may be slow, locked, behind or
/// changed by others: a table of a database. It is not told each commit; it brings itself up to date.
///
/// What it sees is durable already, so its copy is never ahead of the log it was made from.
public protocol FollowingStoreBackend: StoreBackend {
  /// Brings the copy to the store as of `view.seq`. Called when something changed, after `FollowStep.look`
  /// without a change, and once when the engine stops; on a serial queue of the backend's own, so it may take
  /// its time: no commit and no other backend waits.
  func follow(_ view: StoreView) -> FollowStep
}

extension FollowingStoreBackend {
  /// Does nothing, and the engine does not call it: `follow` does the work.
  public func apply(seq: Int64, _ changes: [StoreChange]) {}
  /// Does nothing, and the engine does not call it: `follow` does the work.
  public func replace(seq: Int64, with content: Value.Map) {}
}

/// How a backend's `follow` ended.
public struct FollowStep: Sendable {
  /// What kept the copy from being brought up to date, for people; nil: it is as of the view's seq.
  public var obstacle: String?
  /// How long the engine waits before it calls again; what changes meanwhile is gathered, one entry per key.
  public var rest: Duration
  /// Call again after this even when nothing changed; nil: not before something does.
  public var look: Duration?

  /// - Parameter obstacle: nil when the copy is up to date.
  public init(obstacle: String? = nil, rest: Duration = .zero, look: Duration? = nil) {
    self.obstacle = obstacle
    self.rest = rest
    self.look = look
  }
}

/// One store as of one durable seq, for a backend that keeps a copy of it. Use it during the call only.
public struct StoreView {
  /// The seq it shows.
  public let seq: Int64
  /// The seq of the last view that was followed; at first the seq the engine started from.
  public let since: Int64
  /// Every key that was changed after `since`, in byte order, whatever became of it; nil when more changed than
  /// is kept: then any key may have.
  public let changedKeys: [[UInt8]]?
  /// The engine stops: there is no other call after this one.
  public let isLast: Bool

  private let table: StoreTable

  init(_ table: StoreTable, seq: Int64, since: Int64, changedKeys: [[UInt8]]?, isLast: Bool) {
    self.table = table
    self.seq = seq
    self.since = since
    self.changedKeys = changedKeys
    self.isLast = isLast
  }

  /// The value of a key and the seq that wrote it; nil when there is none. O(size of the value).
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
