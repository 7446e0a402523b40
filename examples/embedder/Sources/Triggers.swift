import Foundation
import TriggerHost

typealias CarParkStore = VersionedStore<CodableStoreBackend<CarPark>>

extension CarParkStore {
  /// The intent that changes the model as of the running execution's snapshot.
  func change(_ body: (inout CarPark) throws -> Void) throws -> [CommitIntent] {
    var (seq, park) = try readSnapshot()
    try body(&park)
    return [try prepareCommit(seq, park)]
  }
}

/// What the doors send.
struct Car: Decodable {
  var plate: String
}

/// `enter`: a car has come. Fails while there is no space for it.
struct Enter: EventTrigger {
  let store: CarParkStore
  var options: TriggerOptions { TriggerOptions(on: [EventPattern(.event, "enter")]) }

  func execute(_ car: Car, _ context: ExecutionContext) async throws -> [CommitIntent] {
    try store.change { try $0.enter(car.plate, at: context.admitted) }
  }
}

/// `leave`: a car goes, and has paid.
struct Leave: EventTrigger {
  let store: CarParkStore
  var options: TriggerOptions { TriggerOptions(on: [EventPattern(.event, "leave")]) }

  func execute(_ car: Car, _ context: ExecutionContext) async throws -> [CommitIntent] {
    try store.change { try $0.leave(car.plate, at: context.admitted) }
  }
}

/// A day is over. A job runs it by name, so it is bound to nothing.
struct CloseDay: EventTrigger {
  /// What the scheduler says of a fire.
  struct Midnight: Decodable {
    var fireTime: Date
    enum CodingKeys: String, CodingKey { case fireTime = "fire_time" }
  }
  let store: CarParkStore

  func execute(_ midnight: Midnight, _ context: ExecutionContext) async throws -> [CommitIntent] {
    try store.change { $0.closeDay(at: Int64(midnight.fireTime.timeIntervalSince1970) * 1_000_000_000) }
  }
}
