import HostConfig
import TriggerCore
import TriggerHost

/// Why nothing of an event that was sent has happened: one word, for programs. The word never changes.
package enum EventRefusal: String, CaseIterable, Sendable {
  /// The line is no event: sent again, it is refused again.
  case badLine = "bad_line"
  /// The key came with another event.
  case keyReused = "key_reused"
  /// As many keys are known as may be (`limits.keys`).
  case keysFull = "keys_full"
  /// What the first event with the key has come to cannot be read from the disk.
  case storage

  /// - Parameter error: of an event that was not taken.
  package init(_ error: any Error) {
    switch error {
    case is KeyReused: self = .keyReused
    case is KeysFull: self = .keysFull
    default: self = .storage
    }
  }
}

/// A line that names an event, as JSON: what standard input and bodies of JSON Lines have (`EventLines`).
package struct EventLine: Sendable {
  /// Why a line was refused.
  package struct Refused: Error {
    /// What its sender knows the line by.
    package var id: Value
    package var code: EventRefusal
    /// The message for the sender.
    package var message: String

    package init(id: Value, code: EventRefusal = .badLine, message: String) {
      (self.id, self.code, self.message) = (id, code, message)
    }
  }

  /// What a line has that says nothing about it.
  package struct Defaults: Sendable {
    /// A number for the sender (`Event.source`).
    package var source: UInt64
    package var priority: Priority?
    /// Whether the answer comes when the event is sure to run, not when it is decided.
    package var isAccepted: Bool

    package init(source: UInt64, priority: Priority? = nil, isAccepted: Bool = false) {
      (self.source, self.priority, self.isAccepted) = (source, priority, isAccepted)
    }
  }

  /// What its sender knows the line by: the number of the line, unless it says something else.
  package private(set) var id: Value
  /// `isKept` says that the sender waits for that alone.
  package private(set) var event: Event
  /// The sender's key.
  package private(set) var key: String?

  /// The most bytes of a sender's key.
  package static let longestKey = 256
  private static let names = ["event", "payload", "id", "kind", "priority", "source", "key", "wait"]

  /// - Parameters:
  ///   - line: UTF-8 that is checked already.
  ///   - number: of the line, from 1.
  ///   - mix: makes the number of a named source out of its name's.
  /// - Throws: `Refused`.
  package init(
    _ line: String, number: Int, _ defaults: Defaults, mix: (UInt64) -> UInt64 = { $0 }
  ) throws {
    id = .int(Int64(number))
    event = Event("", encoded: [])
    func refused(_ message: String) -> Refused { Refused(id: id, message: "line \(number): \(message)") }
    let fields: Value.Map
    do {
      guard case .map(let parsed) = try JSON.parse(line) else { throw refused("expected a JSON object") }
      fields = parsed
    } catch let error as ValueError {
      id = Self.id(in: line.utf8) ?? id
      throw refused(Self.text(of: error))
    }
    if let given = fields["id"] { id = given }
    for field in fields.keys.sorted() where !Self.names.contains(field) {
      let kind = ["message", "data"].contains(field) ? "write \"event\": NAME, \"kind\": \"\(field)\"" : nil
      let hint =
        kind ?? Suggestion.hint(for: field, among: Self.names)
        ?? "there are \(Self.names.joined(separator: ", "))"
      throw refused("unknown field '\(field)'; \(hint)")
    }
    guard case .string(let name)? = fields["event"], !name.isEmpty else {
      throw refused("'event' must name the event")
    }
    event = Event(
      name, fields["payload"] ?? .map([:]), priority: defaults.priority, source: defaults.source)
    event.isKept = defaults.isAccepted
    if let given = fields["priority"] {
      guard case .string(let text) = given, let priority = Priority(text) else {
        throw refused("'priority' is critical, high, normal or low")
      }
      event.priority = priority
    }
    if let given = fields["kind"] {
      guard case .string(let text) = given, let kind = EventKind(rawValue: text),
        [.event, .data, .message].contains(kind)
      else { throw refused("'kind' is event, data or message") }
      event.kind = kind
    }
    if let given = fields["source"] {
      guard case .string(let source) = given else { throw refused("'source' must be a string") }
      event.source = mix(StableHash.of(source))
    }
    if let given = fields["wait"] {
      guard given == "accepted" || given == "committed" else {
        throw refused("'wait' is accepted or committed")
      }
      event.isKept = given == "accepted"
    }
    if let given = fields["key"] {
      guard case .string(let text) = given, (1...Self.longestKey).contains(text.utf8.count) else {
        throw refused("'key' must be a string of 1 to \(Self.longestKey) bytes")
      }
      key = text
    }
  }

  /// The place is line:column, and the line is known.
  package static func text(of error: ValueError) -> String {
    let text = "\(error)"
    return text.hasPrefix("1:") ? "column \(text.dropFirst(2))" : text
  }

  /// The `id` of a line that is no JSON: its sender waits for an answer all the same.
  package static func id(in line: some Sequence<UInt8>) -> Value? {
    var search = JSONMember("id")
    search.read(line)
    return id(search.value)
  }

  /// The `id` of a line of which only that was kept.
  package static func id(_ text: [UInt8]?) -> Value? {
    text.flatMap { try? String(text: $0) }.flatMap { try? JSON.parse($0) }
  }
}
