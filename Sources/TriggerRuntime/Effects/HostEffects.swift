import TriggerHost

/// What leaves a host: a delivery for each receiver. They run from `start` to the end of the host.
final class HostEffects: Sendable {
  private let deliveries: [EffectDelivery]
  private let names: [String]
  private let notices: Notices
  /// Its writer ends with the host when no data directory ends it.
  private let memory: HostLog?

  init(_ parts: HostParts, _ storage: HostStorage?) {
    let receivers = parts.options.receivers
    (names, notices) = (receivers.map(\.name), parts.notices)
    memory = storage == nil ? parts.log : nil
    deliveries =
      parts.log.map { log in
        receivers.map { EffectDelivery($0, log, parts.coordinator.effects, parts.notices) }
      } ?? []
  }

  /// - Throws: `HostNotReady` when two receivers have one name; what the log says.
  func start() throws {
    let counts = Dictionary(grouping: names) { $0 }.mapValues(\.count)
    if let name = counts.filter({ $0.value > 1 }).keys.min() {
      notices.problem(
        "\(counts[name]!) receivers of effects are named '\(name)': give each a name of its own",
        code: .receiver)
      throw HostNotReady()
    }
    if deliveries.count < names.count {
      notices.problem(
        "receivers of effects need a log that the host can read: give the host no log of your own",
        code: .receiver)
      throw HostNotReady()
    }
    for delivery in deliveries { try delivery.start() }
  }

  /// Returns when every receiver has taken what is durable. May take as long as they do.
  func finish() {
    for delivery in deliveries { delivery.finish() }
    for delivery in deliveries { delivery.wait() }
  }

  /// Cancels the calls of receivers that are under way.
  func abandon() { for delivery in deliveries { delivery.abandon() } }

  /// After everything else.
  func close() { memory?.writer.close() }
}
