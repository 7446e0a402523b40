import TriggerCore

/// What a trigger is bound to.
public enum EventKind: String, Sendable, CaseIterable {
  /// `message`: from outside; `data`: from a feed; `event`: any named event, emitted ones too. A binding to
  /// `event` takes messages and data of its name as well, and an `event` reaches bindings to those two.
  ///
  /// `commit`: made by the engine, one for each trigger and commit that changed keys it is bound to.
  ///
  /// `cron`: the fires of every schedule that names its trigger. In a script's `on`, `cron`, `every`, `at`
  /// and `start` become schedules.
  case message, event, data, commit, cron, every, at, start

  /// Whether a binding to this kind takes an event of that one.
  package func takes(_ arriving: EventKind) -> Bool {
    self == arriving || (self == .event && (arriving == .message || arriving == .data))
      || (arriving == .event && (self == .message || self == .data))
  }

  /// Place in `allCases`: what a log record holds. New kinds go to the end.
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

/// One `on` entry: a kind and a name pattern. `*` stands for any characters but `/`, `**` for any at all.
public struct EventPattern: Sendable, Hashable {
  /// What kind of event it takes; `EventKind` says which kinds stand in for others.
  public var kind: EventKind
  /// For `commit` matched with `store/key` of each write, for the others with the event's name.
  public var pattern: String

  /// Any text is a pattern; without a `*` it matches itself alone.
  public init(_ kind: EventKind, _ pattern: String) {
    self.kind = kind
    self.pattern = pattern
  }

  /// Most bytes of a pattern with a star. What a name costs grows with the pattern it is compared with, and every key of
  /// every commit is compared.
  public static let longest = 256

  /// Whether the whole of `name` fits. O(pattern + name × pattern / 64).
  public func matches(_ name: some StringProtocol) -> Bool { matcher.matches(Array(name.utf8)) }

  /// For many names.
  package var matcher: PatternMatcher { PatternMatcher(pattern) }
}
