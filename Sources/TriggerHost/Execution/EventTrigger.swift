import TriggerCore

/// A Swift trigger that gets its event as a value of its own type.
///
/// ```swift
/// struct Deposit: EventTrigger {
///   struct Payment: Decodable {
///     var account: String
///     var cents: Int64
///   }
///   let balances: VersionedStore<MemoryStoreBackend>
///   var options: TriggerOptions { TriggerOptions(on: [EventPattern(.event, "deposit")]) }
///
///   func execute(_ payment: Payment, _ context: ExecutionContext) async throws -> [CommitIntent] {
///     [balances.add(payment.account, .int(payment.cents))]
///   }
/// }
/// ```
///
/// What `Value.decoded` says holds for the event. One that is not a `Payload` ends the operation as `failed`, with the
/// place: `Deposit: event.cents: expected an integer, got a string`.
public protocol EventTrigger: Trigger {
  /// What the event is.
  associatedtype Payload: Decodable
  /// The intents of one attempt for this event; as `Trigger.execute`.
  func execute(_ event: Payload, _ context: ExecutionContext) async throws -> [CommitIntent]
}

extension EventTrigger {
  /// Decodes the event of the running execution. O(its size), in each attempt.
  ///
  /// - Throws: `ValueDecodingError`; `StoreError` outside of an execution.
  public func execute() async throws -> [CommitIntent] {
    guard let context = ExecutionContext.current else {
      throw StoreError("\(name): there is no event outside of an execution")
    }
    return try await execute(try context.event.decoded(as: Payload.self, name: "event"), context)
  }
}
