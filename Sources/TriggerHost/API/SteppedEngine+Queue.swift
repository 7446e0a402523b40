extension SteppedEngine {
  /// Starts the engine of a queue, in place of `TriggerQueue.start`.
  package convenience init(_ queue: TriggerQueue, interruption: (@Sendable (_ worker: Int) -> Void)? = nil) {
    self.init(queue.engine, interruption: interruption)
  }
}
