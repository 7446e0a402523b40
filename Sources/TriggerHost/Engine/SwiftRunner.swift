import TriggerCore

/// Runs an attempt of a Swift trigger as a task on the cooperative pool; the worker goes on at once.
enum SwiftRunner {
  /// Bytes of a key, as for scripts.
  private static let longestKey = 1024

  static func run(_ trigger: any Trigger, _ operation: Operation, _ attempt: Attempt, engine: Engine) {
    let context = ExecutionContext(operation: operation, attempt: attempt)
    // The watchdog may look for it at once.
    let bindings = engine.withState { state in
      attempt.context = context
      return state.commitBindings
    }
    // The attempt belongs to this task until finishDetached hands it back under the engine lock.
    nonisolated(unsafe) let attempt = attempt
    Task {
      do {
        let intents = try await ExecutionContext.$current.withValue(context) { try await trigger.execute() }
        // Looks up keys, which takes the snapshot: not once it is gone.
        try context.read {
          try prepare(intents, into: $0, engine: engine)
          if let bindings { $0.tell(bindings) }
        }
        context.end()
      } catch {
        context.end()
        attempt.status = .failed
        attempt.failure = Failure(
          error is CancellationError ? .cancelled : .error, "\(trigger.name): \(error)")
      }
      engine.finishDetached(operation, attempt)
    }
  }

  /// The limits of a script's intents hold for Swift's too.
  private static func prepare(_ intents: [CommitIntent], into attempt: Attempt, engine: Engine) throws {
    let configuration = engine.configuration
    if intents.count > configuration.maximumIntents {
      throw StoreError("more than \(configuration.maximumIntents) intents in one execution")
    }
    for intent in intents {
      let isWhole = intent.action.change == .replace
      let place = "\(intent.action) \(intent.action.store.map { "\($0)/" } ?? "")\(intent.key.prefix(60))"
      if !isWhole, !(1...Self.longestKey).contains(intent.key.utf8.count) {
        throw StoreError("\(place): a key has 1 to \(Self.longestKey) bytes, got \(intent.key.utf8.count)")
      }
      if intent.value.count > configuration.valueLimits.encodedBytes, !isWhole {
        throw StoreError(
          "\(place): the value takes \(intent.value.count) bytes, the limit is \(configuration.valueLimits.encodedBytes)"
        )
      }
      if intent.action.effect != nil, let problem = Effect.problem(ofMessage: intent.value) {
        throw StoreError("\(place): \(problem)")
      }
      let depth = intent.value.withUnsafeBytes { EncodedItem.depth(of: $0) }
      if depth > configuration.valueLimits.depth {
        throw StoreError(
          "\(place): nested \(depth) levels deep, the limit is \(configuration.valueLimits.depth)")
      }
      let action = try intent.action.mapStore { name throws(StoreDirectory.Refusal) in
        Unmanaged.passUnretained(try attempt.open(name, in: engine.stores))
      }
      var key = intent.key
      key.withUTF8 { key in
        intent.value.withUnsafeBytes {
          attempt.writes.add(action, key: key, value: $0)
        }
      }
    }
  }
}
