import TriggerCore

/// Which triggers an event reaches. Immutable but for its cache, which one lock guards; a new set of triggers
/// makes a new router, which takes over the cache of the one before when all bindings are the same.
package final class Router {
  package let triggers: [LoadedTrigger]
  package let commitTriggers: [LoadedTrigger]
  package let commitBindings: CommitBindings
  /// By place in `triggers`, of each what kinds of events it takes, and of what names.
  private let matchers: [[(kind: EventKind, names: PatternMatcher)]]
  /// By place in `triggers`: what they are called and bound to.
  private let bindings: [Binding]
  /// By kind (`EventKind.index`), then name.
  @exclusivity(unchecked)  // the owner's lock guards it; each event looks here
  private var routes = [[ExactText: [LoadedTrigger]]](repeating: [:], count: EventKind.allCases.count)
  private var cached = 0
  /// Hears of events that reach nobody.
  @exclusivity(unchecked) package var unheard: UnheardEvents?
  /// Most names the cache holds; event names come from outside.
  private let cacheLimit = 4096

  private struct Binding: Equatable {
    var name: String
    var patterns: [EventPattern]
  }

  package init(triggers: [LoadedTrigger], after old: Router? = nil) {
    self.triggers = triggers
    commitTriggers = triggers.filter { $0.options.on.contains { $0.kind == .commit } }
    commitBindings = CommitBindings(commitTriggers)
    matchers = triggers.map { $0.options.on.map { ($0.kind, $0.matcher) } }
    bindings = triggers.map { Binding(name: $0.name, patterns: $0.options.on) }
    unheard = old?.unheard
    if let old, old.bindings == bindings { inherit(from: old) }
  }

  /// The same names lead to what has taken the place of the triggers before. O(names in the cache).
  private func inherit(from old: Router) {
    let places = Dictionary(
      uniqueKeysWithValues: old.triggers.enumerated().map { (ObjectIdentifier($1), $0) })
    routes = old.routes.map { names in
      names.mapValues { $0.map { triggers[places[ObjectIdentifier($0)]!] } }
    }
    cached = old.cached
  }

  /// Triggers in the order of their names. O(1) for a name seen before, O(patterns) otherwise.
  package func route(_ kind: EventKind, _ name: String) -> [LoadedTrigger] {
    let exact = ExactText(name)
    if let known = routes[kind.index][exact] { return known }
    let bytes = Array(name.utf8)
    let found = triggers.indices.filter { place in
      matchers[place].contains { $0.kind.accepts(kind) && $0.names.matches(bytes) }
    }.map { triggers[$0] }
    if found.isEmpty { unheard?.note(kind, name) }
    // Names that nobody uses any more make room for others: whoever sends many costs a look at the patterns at times.
    if cached == cacheLimit {
      for kind in routes.indices { routes[kind] = [:] }
      cached = 0
    }
    routes[kind.index][exact] = found
    cached += 1
    return found
  }
}
