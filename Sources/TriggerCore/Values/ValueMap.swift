extension Value {
  /// Values by text: the entries of a map, the fields of an event, the content of a store by key.
  ///
  /// Equal means equal bytes, as in Lua, in the log and on disk. A dictionary by `String` would take two keys that
  /// Unicode counts as the same text (`é` as one scalar and as `e` with an accent) for one, and lose the value of
  /// either. The order of the entries means nothing and differs from map to map; sort where it is seen.
  public struct Map: Sendable, Hashable {
    private var entries: [ExactText: Value]

    /// No entries.
    public init() { entries = [:] }

    /// No entries, with room for `minimumCapacity` of them.
    public init(minimumCapacity: Int) { entries = Dictionary(minimumCapacity: minimumCapacity) }

    /// Those of a dictionary. O(n).
    public init(_ entries: [String: Value]) {
      self.init(minimumCapacity: entries.count)
      for (key, value) in entries { self[key] = value }
    }

    /// Traps on a key that is there twice. O(n).
    public init(uniqueKeysWithValues entries: some Sequence<(String, Value)>) {
      self.entries = Dictionary(uniqueKeysWithValues: entries.lazy.map { (ExactText($0), $1) })
    }

    /// The value at `key`; nil where there is none, and to set nil removes the entry. O(1).
    public subscript(key: String) -> Value? {
      get { entries[ExactText(key)] }
      set { entries[ExactText(key)] = newValue }
      _modify { yield &entries[ExactText(key)] }
    }

    /// Sets the value at `key`; returns the one that was there. O(1).
    @discardableResult
    public mutating func updateValue(_ value: Value, forKey key: String) -> Value? {
      entries.updateValue(value, forKey: ExactText(key))
    }

    /// Removes the entry at `key`; returns its value. O(1).
    @discardableResult
    public mutating func removeValue(forKey key: String) -> Value? {
      entries.removeValue(forKey: ExactText(key))
    }

    /// The keys, in the order of the entries.
    public var keys: some Collection<String> & Sendable { map(\.key) }

    /// The values, in the order of the entries.
    public var values: some Collection<Value> & Sendable { entries.values }

    /// Takes the entries of `other`; at a key that both have, what `combine` makes of the two values. O(n).
    public mutating func merge(
      _ other: Map, uniquingKeysWith combine: (Value, Value) throws -> Value
    ) rethrows {
      try entries.merge(other.entries, uniquingKeysWith: combine)
    }

    /// These entries and those of `other`; see `merge`. O(n).
    public func merging(
      _ other: Map, uniquingKeysWith combine: (Value, Value) throws -> Value
    ) rethrows -> Map {
      var map = self
      try map.merge(other, uniquingKeysWith: combine)
      return map
    }

    /// The entries that `isIncluded` is true of. O(n).
    public func filter(_ isIncluded: (Element) throws -> Bool) rethrows -> Map {
      var map = Map()
      map.entries = try entries.filter { try isIncluded(($0.key.text, $0.value)) }
      return map
    }

    /// The same keys with other values. O(n).
    public func mapValues(_ transform: (Value) throws -> Value) rethrows -> Map {
      var map = Map()
      map.entries = try entries.mapValues(transform)
      return map
    }
  }
}

extension Value.Map: Collection {
  /// A place among the entries, until the map changes.
  public struct Index: Comparable, Sendable {
    fileprivate let place: Dictionary<ExactText, Value>.Index

    /// The order of the entries.
    public static func < (left: Index, right: Index) -> Bool { left.place < right.place }
  }

  /// A key with its value.
  public typealias Element = (key: String, value: Value)

  /// Entries. O(1).
  public var count: Int { entries.count }
  /// There are no entries. O(1).
  public var isEmpty: Bool { entries.isEmpty }
  /// The place of the first entry.
  public var startIndex: Index { Index(place: entries.startIndex) }
  /// The place behind the last entry.
  public var endIndex: Index { Index(place: entries.endIndex) }
  /// The next place.
  public func index(after index: Index) -> Index { Index(place: entries.index(after: index.place)) }
  /// The entry at a place. O(1).
  public subscript(index: Index) -> Element {
    let entry = entries[index.place]
    return (entry.key.text, entry.value)
  }
}

extension Value.Map: ExpressibleByDictionaryLiteral, CustomStringConvertible {
  /// Traps on a repeated key, as Swift's own dictionary literals do.
  public init(dictionaryLiteral elements: (String, Value)...) { self.init(uniqueKeysWithValues: elements) }

  /// See `Value.description`.
  public var description: String { Value.map(self).description }
}
