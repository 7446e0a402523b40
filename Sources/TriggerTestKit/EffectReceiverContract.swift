import TriggerCore
import TriggerHost

/// What every `EffectReceiver` keeps, checked against one: call it from a test of the receiver.
public struct EffectReceiverContract {
  /// A rule that the receiver broke.
  public struct Violation: Error, CustomStringConvertible {
    /// Which rule, and what was seen instead.
    public let description: String
  }

  private let receiver: any EffectReceiver
  private let taken: () async throws -> [Effect.ID]

  /// Runs the contract.
  ///
  /// - Parameters:
  ///   - receiver: one that has taken nothing yet.
  ///   - taken: the ids of the effects that have come to where they belong, in the order in which they came.
  /// - Throws: the first `Violation`; what the receiver throws.
  public static func check(
    _ receiver: any EffectReceiver, taken: @escaping () async throws -> [Effect.ID]
  ) async throws {
    let contract = EffectReceiverContract(receiver: receiver, taken: taken)
    try await contract.takesInOrder()
    try await contract.takesOnce()
    try await contract.goesOnInAnotherEpoch()
  }

  private static func effect(_ epoch: Int64, _ seq: Int64, _ index: Int) -> Effect {
    Effect(
      id: Effect.ID(epoch: epoch, seq: seq, index: index), kind: index % 2 == 0 ? .send : .broadcast,
      target: "t\(index)", message: CanonicalEncoding.encode(["type": "m", "n": .int(seq)]))
  }

  private static let first = [effect(1, 3, 0), effect(1, 3, 1), effect(1, 4, 0), effect(1, 70, 2)]
  private static let second = [effect(1, 71, 0), effect(1, 71, 5)]
  private static let later = [effect(2, 72, 0)]

  private func require(_ effects: [Effect], _ rule: String) async throws {
    let (expected, seen) = (effects.map(\.id), try await taken())
    if seen == expected { return }
    throw Violation(description: "\(rule): expected \(expected), got \(seen)")
  }

  private func takesInOrder() async throws {
    try await require([], "nothing has come before the first effect")
    try await receiver.receive(Array(Self.first[..<2]))
    try await require(Array(Self.first[..<2]), "what receive has returned for is where it belongs")
    try await receiver.receive(Array(Self.first[2...]))
    try await require(Self.first, "effects come in the order of their ids")
  }

  /// A host that has crashed does not know what it has given.
  private func takesOnce() async throws {
    try await receiver.receive(Self.first)
    try await require(Self.first, "an effect that comes again is not taken twice")
    try await receiver.receive(Array(Self.first[3...]) + Self.second)
    try await require(Self.first + Self.second, "what is new among what comes again is taken")
  }

  private func goesOnInAnotherEpoch() async throws {
    try await receiver.receive(Self.later)
    try await require(Self.first + Self.second + Self.later, "a host that was started again goes on")
  }
}
