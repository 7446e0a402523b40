/// How an intent changes a store.
///
/// Raw values are what log records and the Lua side have.
@frozen
public enum ChangeKind: UInt8, Sendable, Hashable, CaseIterable {
  /// Sets a key.
  case put = 1
  /// Removes a key.
  case delete = 2
  /// Adds a number to the one at a key.
  case add = 3
  /// Puts a number when the one at the key is less.
  case max = 4
  /// Puts a number when the one at the key is greater.
  case min = 5
  /// Adds an element to the end of an array.
  case append = 6
  /// Replaces the whole store; applied as the keys that differ.
  case replace = 7
  /// Adds text, or bytes, to the end of a string.
  case appendText = 9
}

extension ChangeKind: CustomStringConvertible {
  /// The method of a store that prepares it in a script.
  public var description: String {
    switch self {
    case .put: "put"
    case .delete: "delete"
    case .add: "add"
    case .max: "max"
    case .min: "min"
    case .append: "append"
    case .replace: "replace"
    case .appendText: "append_text"
    }
  }
}

/// Where an intent goes that leaves the host.
///
/// Raw values are what log records and the Lua side have.
@frozen
public enum EffectKind: UInt8, Sendable, Hashable, CaseIterable {
  /// A message to one session.
  case send = 10
  /// A message to every session that has subscribed to a topic.
  case broadcast = 11
}

extension EffectKind: CustomStringConvertible {
  /// The method of `ctx` that prepares it in a script.
  public var description: String {
    switch self {
    case .send: "send"
    case .broadcast: "broadcast"
    }
  }
}

/// What one intent of a commit does. `Store` is how a store is known where the intent is: by its table while an attempt
/// runs, by its name in a record.
///
/// Everything here can be inlined: what is generic and called from another module would look up its types at run time, which
/// cost a tenth of an operation.
@frozen
public enum CommitAction<Store> {
  /// Changes a store.
  case change(ChangeKind, Store)
  /// Admits an event.
  case emit
  /// Leaves the host, once the commit is durable.
  case effect(EffectKind)
}

extension CommitAction: Sendable where Store: Sendable {}
extension CommitAction: Equatable where Store: Equatable {}
extension CommitAction: Hashable where Store: Hashable {}

extension CommitAction: CustomStringConvertible {
  /// What scripts call it.
  public var description: String {
    switch self {
    case .change(let change, _): "\(change)"
    case .emit: "emit"
    case .effect(let effect): "\(effect)"
    }
  }
}

extension CommitAction {
  /// The store that it changes; nil when it changes none.
  @inlinable
  public var store: Store? {
    if case .change(_, let store) = self { store } else { nil }
  }

  /// How it changes the store; nil when it changes none.
  @inlinable
  public var change: ChangeKind? {
    if case .change(let change, _) = self { change } else { nil }
  }

  /// Where it goes when it leaves the host; nil when it stays.
  @inlinable
  public var effect: EffectKind? {
    if case .effect(let effect) = self { effect } else { nil }
  }

  /// The same, with the store known in another way.
  @inlinable @inline(__always)
  package func mapStore<Other, Thrown: Error>(
    _ body: (Store) throws(Thrown) -> Other
  ) throws(Thrown) -> CommitAction<Other> {
    switch self {
    case .change(let change, let store): .change(change, try body(store))
    case .emit: .emit
    case .effect(let effect): .effect(effect)
    }
  }

  @usableFromInline static var emitCode: UInt8 {
    @inlinable get { 8 }
  }

  /// As log records and the Lua side have it.
  @inlinable @inline(__always)
  package var code: UInt8 {
    switch self {
    case .change(let change, _): change.rawValue
    case .emit: Self.emitCode
    case .effect(let effect): effect.rawValue
    }
  }

  /// - Parameter store: nil when there is none.
  /// - Returns: nil when no action has that code, or has it with or without a store.
  @inlinable @inline(__always)
  package init?(code: UInt8, store: Store?) {
    switch (ChangeKind(rawValue: code), store) {
    case (let change?, let store?): self = .change(change, store)
    case (nil, nil) where code == Self.emitCode: self = .emit
    case (nil, nil):
      guard let effect = EffectKind(rawValue: code) else { return nil }
      self = .effect(effect)
    default: return nil
    }
  }
}
