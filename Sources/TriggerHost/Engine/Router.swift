import TriggerCore

/// Which triggers an event reaches. Immutable but for its cache, which the intake lock guards; a new tree
/// makes a new router.
final class Router {
  let triggers: [LoadedTrigger]
  let commitTriggers: [LoadedTrigger]
  private var routes: [EventKind: [ExactText: [LoadedTrigger]]] = [:]
  /// Most names the cache holds; event names come from outside.
  private let cacheLimit = 4096
  private var cached = 0

  init(triggers: [LoadedTrigger]) {
    self.triggers = triggers
    commitTriggers = triggers.filter { $0.options.on.contains { $0.kind == .commit } }
  }

  /// Triggers in the order of their names. O(1) for a name seen before.
  func route(_ kind: EventKind, _ name: String) -> [LoadedTrigger] {
    let exact = ExactText(name)
    if let known = routes[kind]?[exact] { return known }
    let found = triggers.filter { trigger in
      trigger.options.on.contains { Self.accepts($0.kind, kind) && $0.matches(name) }
    }
    if cached < cacheLimit {
      routes[kind, default: [:]][exact] = found
      cached += 1
    }
    return found
  }

  /// A binding to `event` takes whatever has that name; the other kinds only their own.
  private static func accepts(_ bound: EventKind, _ arriving: EventKind) -> Bool {
    bound == arriving || (bound == .event && (arriving == .message || arriving == .data))
      || (arriving == .event && (bound == .message || bound == .data))
  }
}
