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
  func known(_ record: LogRecord) -> Change? { changes[Key(record)] }

  /// - Parameter tree: the scripts of the time.
  mutating func change(for record: LogRecord, in tree: RecordedScripts.Tree) -> Change {
    if oldRouter?.tree != record.tree { oldRouter = (record.tree, tree.makeRouter()) }
    let old = oldRouter!.router.route(record.kind, record.event)
    let new = router.route(record.kind, record.event)
    let leader = old.max { ($0.leads, $1.name) < ($1.leads, $0.name) }
    let names = Set(old.map(\.name))
    let change = Change(
      isBound: new.contains { $0.name == record.trigger }, isSentByName: !names.contains(record.trigger),
      newcomers: leader?.name == record.trigger ? new.filter { !names.contains($0.name) } : [])
    if changes.count == Self.kept { changes.removeAll() }
    changes[Key(record)] = change
    return change
  }
}

extension BindingChanges.Key {
  fileprivate init(_ record: LogRecord) {
    self.init(tree: record.tree, kind: record.kind, event: record.event, trigger: record.trigger)
  }
}

extension LoadedTrigger {
  /// Every event it is bound to has its own record, unless something in its options passes some over.
  var mayPassOver: Bool { options.coalesce != nil || options.isGated }

  fileprivate var leads: Int { (mayPassOver ? 0 : 10) + Int(options.priority.rawValue) }
}
