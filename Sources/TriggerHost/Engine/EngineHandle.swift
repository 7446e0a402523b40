/// What a coordinator and the queues of one engine share. Nobody can enqueue any more when the last of them has gone:
/// the engine ends then.
final class EngineHandle: Sendable {
  let engine: Engine

  init(_ engine: Engine) { self.engine = engine }

  /// On a thread of its own: a trigger may have had the last handle, and a worker cannot wait for itself.
  deinit {
    guard engine.hasStarted else { return }
    let engine = engine
    Thread.detach(name: "stop") { engine.stop() }
  }
}
