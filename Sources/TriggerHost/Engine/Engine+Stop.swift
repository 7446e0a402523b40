import Synchronization

/// The engine ends, part by part: who ends a process gives each part its time.
extension Engine {
  /// Ends all threads; what is queued stays undone. Running attempts are cancelled. One that has not started never does.
  func stop() {
    guard hasStarted else {
      drain()
      return release()
    }
    guard cancelRunning(within: nil) != nil else { return }
    flushLog()
    backends.stop()
    release()
  }

  /// Calls `body` when the engine has been stopped and nothing of it runs any more; at once when that is so.
  func whenOver(_ body: @escaping @Sendable () -> Void) {
    let isOver = ends.withLock { ends in
      if !ends.isOver { ends.bodies.append(body) }
      return ends.isOver
    }
    if isOver { body() }
  }

  /// Takes no event any more and begins nothing that waits; what has been begun goes on. Returns at once.
  func drain() {
    guard !draining.isOn.exchange(true, ordering: .acquiringAndReleasing) else { return }
    resumeWaiting()
  }

  /// After `drain`: waits until everything that was begun is decided, or the time is up.
  ///
  /// - Returns: what is left. It is in the log as far as anybody was promised anything.
  func finishRunning(within bound: Duration) -> Leftovers {
    let late = ContinuousClock.now + bound
    while isStarted.load(ordering: .acquiring), !withState({ $0.isQuiet }) {
      let left = late - .now
      if left <= .zero { break }
      drained.sleep(nanoseconds: left.nanoseconds + 1)
    }
    let arriving = intakeLock.withLock { incoming.count }
    var left = withState { $0.leftovers() }
    left.queued += arriving
    return left
  }

  /// Cancels what runs, which is no outcome, and ends the threads.
  ///
  /// - Parameter bound: for all threads together; nil: as long as it takes.
  /// - Returns: names of the triggers whose attempts have not ended; nil when the engine has not started, or stops
  ///   already.
  @discardableResult
  func cancelRunning(within bound: Duration?) -> [String]? {
    guard isStarted.load(ordering: .acquiring),
      !isStopping.exchange(true, ordering: .acquiringAndReleasing)
    else { return nil }
    draining.isOn.store(true, ordering: .releasing)
    let workers = withState { state in
      state.isStopping = true
      return self.workers
    }
    for worker in workers {
      worker.cancel()
      worker.wakeUp.wake()
    }
    let late = bound.map { ContinuousClock.now + $0 }
    let stuck = workers.filter { !$0.join(until: late) }
    watchdog?.stop()
    watchdog = nil
    return withState { _ in
      self.workers = []
      return stuck.map { $0.stuckIn ?? $0.name }
    }
  }

  /// Returns when everything that was decided is as durable as the log promises, and seen by readers.
  func flushLog() {
    log?.flush()
    registry.visible.max(min(withState { $0.order.frontier }, log?.durable ?? .max), ordering: .releasing)
    seqs.tell()
  }

  /// Nobody waits for the engine any more.
  func release() {
    resumeWaiting()
    outbox.close()
    seqs.close()
    receivers.close()
    let watches = stopWatches.withLock { watches in
      defer { watches.bodies = [:] }
      return Array(watches.bodies.values)
    }
    for body in watches { body() }
    keys.close()
    let bodies = ends.withLock { ends in
      ends.isOver = true
      defer { ends.bodies = [] }
      return ends.bodies
    }
    for body in bodies { body() }
  }

  private func resumeWaiting() {
    let resumed = intakeLock.withLock {
      defer { (waitingForRoom, waitingForIdle, waitingForQuiet, waitingForStats) = ([], [], [], []) }
      return waitingForRoom + waitingForIdle + waitingForQuiet + waitingForStats.map(\.continuation)
    }
    for continuation in resumed { continuation.resume() }
  }
}
