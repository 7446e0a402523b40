import TriggerCore

/// The kind of an event. A trigger is bound to kinds and names of events.
public enum EventKind: String, Sendable, CaseIterable {
  /// A message from outside. An `event` of the same name reaches bindings to `message` too.
  case message
  /// A named event that a trigger emitted, a sender sent or a schedule fired. Messages and data of the same name reach
  /// bindings to `event` too.
  case event
  /// A row of a feed. An `event` of the same name reaches bindings to `data` too.
  case data
  /// A commit that changed keys. The engine makes one event for each commit and each trigger that is bound to keys
  /// which the commit changed.
  case commit
  /// The fire of a schedule that names its trigger, whatever the rule of the schedule. In a script's `on`: a cron
  /// expression.
  case cron
  /// In a script's `on`: a schedule with an interval. Its fires are events of the kind `cron`.
  case every
  /// In a script's `on`: a schedule with one time. Its fire is an event of the kind `cron`.
  case at
  /// In a script's `on`: a schedule that fires once, when the host starts. Its fire is an event of the kind `cron`.
  case start

  /// Whether an event of the kind `arriving` reaches a binding to this kind.
  package func accepts(_ arriving: EventKind) -> Bool {
    self == arriving || (self == .event && (arriving == .message || arriving == .data))
      || (arriving == .event && (self == .message || self == .data))
  }

  /// The place in `allCases`. Log records contain it, so new kinds go to the end.
  package var index: Int {
    switch self {
    case .message: 0
    case .event: 1
    case .data: 2
    case .commit: 3
    case .cron: 4
    case .every: 5
    case .at: 6
    case .start: 7
    }
  }
}

/// One entry of `on`: a kind and a pattern for names. `*` stands for any characters except `/`, and `**` for any
/// characters at all.
public struct EventPattern: Sendable, Hashable {
  /// The kind of the events. `EventKind` says which kinds stand in for others.
  public var kind: EventKind
  /// Compared with `store/key` of each write when the kind is `commit`, and with the event's name otherwise.
  public var pattern: String

  /// Any text is a pattern. A text without a `*` matches only itself.
  public init(_ kind: EventKind, _ pattern: String) {
    self.kind = kind
    self.pattern = pattern
  }

  /// The most bytes of a pattern with a star. Every key of every commit is compared with every pattern, and a
  /// comparison costs more the longer the pattern is.
  public static let longest = 256

  /// Whether the pattern matches the whole name. O(pattern + name × pattern / 64).
  public func matches(_ name: some StringProtocol) -> Bool { matcher.matches(Array(name.utf8)) }

  /// Made once to compare the pattern with many names.
  package var matcher: PatternMatcher { PatternMatcher(pattern) }
}
