import TriggerCore

/// A backend that reads its store when somebody asks, and needs not be told of commits.
protocol StoreReader: StoreBackend {
  /// Called once, when the store is registered.
  func read(from source: NewestContent)
}

/// Where a backend finds what its store holds.
struct NewestContent: Sendable {
  /// The whole store as of the newest commit that anybody was told of, and the seq of the last one that changed it; nil when
  /// that is the seq given, or too many read at once. O(1) when nothing has changed, else O(keys).
  let read: @Sendable (_ known: Int64) -> (seq: Int64, values: Value.Map)?
}
