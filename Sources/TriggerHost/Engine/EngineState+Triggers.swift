extension EngineState {
  /// Puts a set in force: everything that is dequeued from now on uses it, whatever is dequeued already
  /// keeps its own. O(queued + undecided), a few milliseconds for a long queue.
  mutating func put(_ set: TriggerSet) {
    var inUse: Set<Int> = []
    order.forEachUndecided { _, operation, _ in inUse.insert(operation.trigger.set) }
    parking.visit { operation, _ in inUse.insert(operation.trigger.set) }
    for operation in deferredSeqs.values { inUse.insert(operation.trigger.set) }
    func queued(_ operation: Operation) {
      set.adopt(operation)
      // One of an earlier run has its own.
      if operation.identity != 0 { inUse.insert(operation.trigger.set) }
    }
    lanes.forEach(queued)
    // In an order that is the same in each run, as everything that a seed is to give again.
    for key in held.keys.sorted() { for (operation, _) in held[key]! { queued(operation) } }
    for item in delayed.unordered { queued(item.operation) }
    gates.forEach(queued)
    for operation in arrived[nextArrived...] { queued(operation) }
    sets.put(set, inUse: inUse)
    stuck.lift(by: set)
    router = Router(triggers: set.triggers, after: router)
    justPut = set
  }
}
