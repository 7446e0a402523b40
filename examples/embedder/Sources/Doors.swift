import ServiceLifecycle
import TriggerCore
import TriggerHost

/// Lines of text become events, and what comes of them lines of text: `enter B-AB 1`, `leave B-AB 1`.
struct Doors: Service {
  let garage: Garage
  let lines: AsyncStream<String>
  let say: @Sendable (String) -> Void

  /// Until the lines end, or the service group shuts down.
  func run() async throws {
    for await line in lines.cancelOnGracefulShutdown() { say(try await answer(to: line)) }
  }

  func answer(to line: String) async throws -> String {
    let words = line.split(separator: " ", maxSplits: 1).map(String.init)
    guard words.count == 2, ["enter", "leave"].contains(words[0]) else {
      return "say 'enter PLATE' or 'leave PLATE'"
    }
    for result in try await garage.host.queue.perform(Event(words[0], ["plate": .string(words[1])])) {
      if let error = result.error { return "no: \(error)" }
    }
    return "\(words[1]) may \(words[0]). Free: \(garage.park.free), taken today: \(garage.park.cents) cents"
  }
}
