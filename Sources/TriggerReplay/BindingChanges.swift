import TriggerCore
import TriggerHost

/// How other scripts are bound to the outside events of a log, compared with the scripts of the time.
struct BindingChanges {
  struct Change {
    /// The new scripts bind the record's trigger to its event.
    var isBound: Bool
    /// The scripts of the time did not: it was sent to the trigger by name, as schedules do.
    var isSentByName: Bool
    /// Triggers that the event reaches now and did not then, when they run after this record. The event's
    /// most urgent operation leads them, so that they run once, whatever order its operations came in; one
    /// whose trigger passes events over (`coalesce`, `debounce`, ...) leads when there is no other.
    var newcomers: [LoadedTrigger]
    /// What the event reached then.
    fileprivate var reached: [String]
  }

  fileprivate struct Key: Hashable {
    var tree: Int
    var kind: EventKind
    var event: String
    var trigger: String
  }

  /// Most changes kept; event names come from outside.
  private static let kept = 4096

  private let router: Router
  private var changes: [Key: Change] = [:]
  private var oldRouter: (tree: Int, router: Router)?

  init(to router: Router) { self.router = router }

  /// The change for a record like one before.
  ///
  /// - Parameter tree: number of the scripts of the time.
  func known(_ record: LogRecord, tree: Int) -> Change? {
    guard let known = changes[Key(record, tree: tree)], known.reached == record.reached else { return nil }
    return known
  }

  /// - Parameter tree: the scripts of the time.
  mutating func change(for record: LogRecord, in tree: RecordedScripts.Tree) -> Change {
    let number = tree.loaded.identity.number
    if oldRouter?.tree != number { oldRouter = (number, tree.makeRouter()) }
    let old = oldRouter!.router.route(record.kind, record.event)
    let new = router.route(record.kind, record.event)
    let isSentByName = record.tree > 0 && !old.contains { $0.name == record.trigger }
    let reached = record.reached
    let leader = reached.min { (tree.rank($0), $0) < (tree.rank($1), $1) }
    let isLed = leader == record.trigger && !isSentByName
    let change = Change(
      isBound: new.contains { $0.name == record.trigger }, isSentByName: isSentByName,
      newcomers: isLed ? new.filter { !reached.contains($0.name) } : [], reached: reached)
    if changes.count == Self.kept { changes.removeAll() }
    changes[Key(record, tree: number)] = change
    return change
  }
}

extension BindingChanges.Key {
  fileprivate init(_ record: LogRecord, tree: Int) {
    self.init(tree: tree, kind: record.kind, event: record.event, trigger: record.trigger)
  }
}

extension LogRecord {
  /// The triggers that its event made operations for.
  fileprivate var reached: [String] {
    guard let triggers = outside?.triggers, !triggers.isEmpty else { return [trigger] }
    return triggers
  }
}

extension RecordedScripts.Tree {
  /// Who of the triggers that one event reaches leads: the least.
  fileprivate func rank(_ trigger: String) -> Int {
    // One that is no script is in Swift, and has its own record of every event.
    guard let trigger = triggers[trigger] else { return Int(Priority.normal.rawValue) }
    return (trigger.mayPassOver ? Priority.allCases.count : 0) + Int(trigger.options.priority.rawValue)
  }
}

extension LoadedTrigger {
  /// Something in its options may pass over an event that it is bound to: then that has no record.
  var mayPassOver: Bool { options.coalesce != nil || options.isGated }
}
