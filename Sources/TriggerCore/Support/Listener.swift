import Synchronization

/// A function that another thread may replace: nil until somebody listens. Any thread.
///
/// It lies in a struct of its own for a reason. `Mutex` is generic, and a function that passes through its
/// `withLock` is wrapped for that and, being `inout`, stored with the wrapping: each access would add two
/// frames to every later call, until the stack is full.
package final class Listener<Message>: Sendable {
  private struct Box {
    var body: (@Sendable (Message) -> Void)?
  }
  private let box = Mutex(Box())

  package init() {}

  /// Takes the place of the one before; nil for none.
  package func set(_ body: (@Sendable (Message) -> Void)?) { box.withLock { $0.body = body } }

  /// Who listens now.
  package var body: (@Sendable (Message) -> Void)? { box.withLock { $0.body } }

  /// Calls whoever listens, outside of the lock.
  package func callAsFunction(_ message: Message) { body?(message) }
}
