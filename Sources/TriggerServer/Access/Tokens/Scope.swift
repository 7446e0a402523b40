import TriggerCore

/// What somebody wants to do, as far as permission goes.
public enum Action: Hashable, Sendable {
  /// To look at stores, executions, statistics or the log, or to subscribe to them.
  case read
  /// To send an event of this name.
  case send(event: String)
  /// To act on the running host: put back what failed, roll scripts back, pause jobs.
  case act
}

/// One thing that a token permits.
///
/// Written `read`, `events:NAME` or `admin`. A NAME may end in `*`, which stands for any rest: `events:bars/*`.
public enum Scope: Hashable, Sendable, CustomStringConvertible {
  /// To look at everything.
  case read
  /// To send events of these names.
  case events(EventNames)
  /// Everything.
  case admin

  /// The scope that `text` writes.
  ///
  /// - Throws: `AccessError` that says what would be right.
  public init(parsing text: String) throws(AccessError) {
    let prefix = "events:"
    switch text {
    case "read": self = .read
    case "admin": self = .admin
    case _ where text.hasPrefix(prefix):
      self = .events(try EventNames(parsing: String(text.dropFirst(prefix.count))))
    default:
      let hint = Suggestion.clause(for: text, among: ["read", "admin", "events:*"])
      throw AccessError(
        "the scope `\(text)` is not known: it is read, events:NAME, events:PREFIX* or admin\(hint)")
    }
  }

  /// Whether somebody with this scope may do it. O(length of the name)
  public func permits(_ action: Action) -> Bool {
    switch (self, action) {
    case (.admin, _): true
    case (.read, .read): true
    case (.events(let names), .send(let event)): names.contains(event)
    case (.read, _), (.events, _): false
    }
  }

  /// As it is written.
  public var description: String {
    switch self {
    case .read: "read"
    case .events(let names): "events:\(names)"
    case .admin: "admin"
    }
  }
}

extension Sequence where Element == Scope {
  /// Whether one of them permits it.
  public func permits(_ action: Action) -> Bool { contains { $0.permits(action) } }
}

/// One name of events, or all names with one beginning.
public struct EventNames: Hashable, Sendable, CustomStringConvertible {
  private let beginning: String
  private let isWhole: Bool

  /// - Parameter text: a name, or a beginning with `*` after it; `*` alone is every name.
  /// - Throws: `AccessError` when it is empty, longer than 256 bytes, has `*` before its end, or has spaces or control
  ///   characters: no event has such a name.
  public init(parsing text: String) throws(AccessError) {
    isWhole = !text.hasSuffix("*")
    beginning = isWhole ? text : String(text.dropLast())
    if text.isEmpty {
      throw AccessError("the scope `events:` names no event: events:NAME, or events:* for all")
    }
    if beginning.contains("*") { throw AccessError("the scope `events:\(text)` has a `*` before its end") }
    let isGood = beginning.unicodeScalars.allSatisfy { scalar in
      !scalar.properties.isWhitespace && scalar.properties.generalCategory != .control
    }
    guard isGood, text.utf8.count <= 256 else {
      throw AccessError(
        "the scope `events:\(text)` names no event: names have no spaces and at most 256 bytes")
    }
  }

  /// Whether it is one of these names, byte for byte: Unicode's equivalent spellings are different names.
  public func contains(_ name: String) -> Bool {
    isWhole ? name.utf8.elementsEqual(beginning.utf8) : name.utf8.starts(with: beginning.utf8)
  }

  /// As it is written.
  public var description: String { isWhole ? beginning : beginning + "*" }
}

/// Why something about tokens or permission cannot be: what was wrong with which input, and what would be right.
public struct AccessError: Error, Hashable, Sendable, CustomStringConvertible {
  /// For people.
  public var message: String
  /// - Parameter message: for people.
  public init(_ message: String) { self.message = message }
  /// The message.
  public var description: String { message }
}
