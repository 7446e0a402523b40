import Synchronization
import TriggerCore

/// Which triggers are in force, for the intake and for the workers.
extension Engine {
  /// Makes a set of triggers; nothing uses it yet.
  func makeSet(
    _ items: [(name: String, body: LoadedTrigger.Body, options: TriggerOptions)], tree: LoadedTree?
  ) -> TriggerSet {
    intakeLock.withLock {
      setCount += 1
      let triggers = items.enumerated().map { position, item in
        LoadedTrigger(
          index: indexOf(item.name), name: item.name, body: item.body, options: item.options,
          set: setCount, position: position)
      }
      // What an attempt has cost so far is the best guess of what it will.
      for trigger in triggers {
        guard let old = inForce[trigger.name] else { continue }
        trigger.meanCost.store(old.meanCost.load(ordering: .relaxed), ordering: .relaxed)
      }
      return TriggerSet(number: setCount, triggers: triggers, tree: tree)
    }
  }

  /// Puts a set in force at once. Queued operations of triggers that it lacks end `skipped`.
  func install(_ set: TriggerSet) {
    lock.withLock {
      state.put(set)
      publishSet(&state)
    }
  }

  /// The intake and the workers learn of a set that was put in force. Engine lock; takes the intake lock.
  func publishSet(_ state: inout EngineState) {
    guard let set = state.justPut else { return }
    state.justPut = nil
    intakeLock.lock()
    inForce = set
    router = Router(triggers: set.triggers, after: router)
    for operation in incoming { set.adopt(operation) }
    intakeLock.unlock()
    for worker in workers { worker.keep(sets: state.sets.numbers, bindings: state.commitBindings) }
  }

  var triggersInForce: TriggerSet { intakeLock.withLock { inForce } }
  func installed(_ name: String) -> LoadedTrigger? { triggersInForce[name] }

  /// Adds one trigger to those in force (Swift triggers enqueued directly).
  ///
  /// The operation keeps it; records find its name by the index, which all of one name share.
  func adopt(name: String, body: LoadedTrigger.Body, options: TriggerOptions) -> LoadedTrigger {
    intakeLock.withLock {
      LoadedTrigger(index: indexOf(name), name: name, body: body, options: options, isAdopted: true)
    }
  }

  /// Intake lock.
  func indexOf(_ name: String) -> Int {
    if let known = triggerIndices[name] { return known }
    triggerIndices[name] = triggerNames.count
    triggerNames.append(name)
    return triggerNames.count - 1
  }
}
