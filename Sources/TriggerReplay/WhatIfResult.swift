import TriggerCore
import TriggerHost

extension WhatIf {
  /// How an operation ended.
  public struct Result: Sendable, Hashable {
    /// Committed, failed or skipped.
    public var outcome: Outcome
    /// What was committed, in list order.
    public var intents: [LogRecord.Intent]
    /// Message and traceback when it failed.
    public var error: String?
    /// The word for that.
    public var code: FailureCode?
  }

  /// An operation that does not go as it is recorded.
  public struct Difference: Sendable, Hashable {
    /// What became of it.
    public enum Kind: String, Sendable, CaseIterable {
      /// `changed`: it ends otherwise. `gone`: it does not happen. `new`: history does not have it.
      case changed, gone, new
    }

    /// What became of it.
    public var kind: Kind
    /// The seq it is recorded under. For a new one: of the recorded operation that it comes after.
    public var seq: Int64
    /// Its trigger's name.
    public var trigger: String
    /// What kind of event it is for.
    public var eventKind: EventKind
    /// The event's name.
    public var event: String
    /// Canonical encoding of the event: as it would have been; as recorded when it is gone.
    public var payload: [UInt8]
    /// As recorded, when it would have been another.
    public var recordedPayload: [UInt8]?
    /// As recorded; nil when it is new.
    public var old: Result?
    /// As it would have been; nil when it is gone.
    public var new: Result?
    /// Why it does not happen.
    public var reason: String?
  }

  /// A key whose final value differs.
  public struct StateDifference: Sendable, Hashable {
    /// The store's name.
    public var store: String
    /// The key.
    public var key: String
    /// What history left; nil: no value.
    public var old: Value?
    /// What would be there; nil: no value.
    public var new: Value?
  }

  /// What came of all of it. Operations are counted once, under their last seq.
  public struct Summary: Sendable, Hashable {
    /// The first seq of the range; 0 when it had none.
    public var first: Int64 = 0
    /// The last seq of the range.
    public var last: Int64 = 0
    /// Operations from outside in history.
    public var outside = 0
    /// Operations that end as they are recorded.
    public var same = 0
    /// Operations that end otherwise.
    public var changed = 0
    /// Operations that do not happen.
    public var gone = 0
    /// Operations that history does not have.
    public var new = 0
    /// Operations that took their recorded intents: those of Swift triggers, and new scripts coming into force.
    public var kept = 0
    /// Operations that stayed skipped: who sent them, or the host, had taken them back.
    public var skipped = 0
    /// Operations that fail now.
    public var failed = 0
    /// Of those, the ones that do not fail in history: it has them committed, or not at all.
    public var failedAnew = 0
    /// Operations that fail in history and do not now.
    public var mended = 0
    /// Emitted and not decided at the end of the range.
    public var undecided = 0
    /// Seq of the first difference; nil when there is none.
    public var firstDifference: Int64?
    /// Triggers that events were sent to by name (schedules do so) and that the new scripts lack, with how
    /// often.
    public var missingTargets: [String: Int] = [:]

    /// True when anything differs.
    public var differs: Bool { firstDifference != nil }
  }
}

extension ReplayState {
  /// Visits the keys whose values differ, by store and in byte order of the keys. O(keys of both).
  func visitDifferences(
    to other: ReplayState, _ body: (WhatIf.StateDifference) throws -> Void
  ) throws {
    let names = Set(stores.existing.map(\.name) + other.stores.existing.map(\.name))
    for name in names.sorted() {
      var (left, right) = (Cursor(self, stores.declare(name)), Cursor(other, other.stores.declare(name)))
      while let order = Cursor.order(left, right) {
        let old = order <= 0 ? left.item?.value : nil
        let new = order >= 0 ? right.item?.value : nil
        if order != 0 || !old!.elementsEqual(new!) {
          let key = order <= 0 ? left.item!.key : right.item!.key
          try body(
            WhatIf.StateDifference(
              store: name, key: String(decoding: key, as: UTF8.self),
              old: try old.map { try CanonicalEncoding.decode($0) },
              new: try new.map { try CanonicalEncoding.decode($0) }))
        }
        if order <= 0 { left.advance() }
        if order >= 0 { right.advance() }
      }
    }
  }

  /// Goes through a store's keys and values as of now.
  private struct Cursor {
    private static var all: UnsafeBufferPointer<UInt8> { .init(start: nil, count: 0) }
    private let table: StoreTable
    private let seq: Int64
    private var entry: UnsafeMutablePointer<Entry>?
    private(set) var item: (key: UnsafeBufferPointer<UInt8>, value: UnsafeRawBufferPointer)?

    init(_ state: ReplayState, _ table: StoreTable) {
      self.table = table
      seq = state.seq
      entry = table.firstEntry(prefix: Self.all)
      advance()
    }

    mutating func advance() {
      item = nil
      while let current = entry, item == nil {
        if let version = Entry.visible(current, at: seq), !version.isDeleted {
          item = (Entry.keyBytes(current), Version.value(version))
        }
        entry = table.nextEntry(current, prefix: Self.all)
      }
    }

    /// Which of two is at the lesser key: below, at or above zero; nil when both are at the end.
    static func order(_ left: Cursor, _ right: Cursor) -> Int? {
      guard let a = left.item?.key, let b = right.item?.key else {
        return left.item != nil ? -1 : right.item != nil ? 1 : nil
      }
      if a.elementsEqual(b) { return 0 }
      return a.lexicographicallyPrecedes(b) ? -1 : 1
    }
  }
}
