import TriggerCore
import TriggerHost

/// What a message of a session says, from where the log has it. Its text is made once, when somebody is there to read it.
final class SessionMessage {
  enum Content: Sendable {
    /// A message of a script, in canonical encoding.
    case effect([UInt8])
    /// A key that changed.
    case change(store: String, key: [UInt8], seq: Int64, NewValue)
    /// What came of a message of the client. `key`: its id, as JSON.
    case ack(key: String, EventID, [KeyRow.Result], hint: String?)
    /// A message of the client is sure to run.
    case accepted(key: String, EventID)
    /// A record, whole.
    case record(LogRecord, SessionSubscriptions.Records.Form)
    /// A text without a token.
    case kept([UInt8])
  }

  enum NewValue: Sendable {
    /// In canonical encoding.
    case put([UInt8])
    case deleted
    /// The record has what was added, and not what came of it.
    case relative
  }

  /// What a key has now, and as of which seq; for changes whose record does not say what came of them.
  typealias Newest = (_ store: String, _ key: String) -> (seq: Int64, value: Value?)?

  let content: Content

  init(_ content: Content) { self.content = content }

  private var made: [UInt8]?
  var isMade: Bool { made != nil }

  /// The text: JSON of a map, without its first brace, so that a token can be put before. Not empty.
  func text(_ newest: Newest) -> [UInt8] {
    if let made { return made }
    let text = Self.text(of: content, newest)
    made = text
    return text
  }

  /// A whole message.
  static func frame(_ token: Int64, _ text: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count + 32)
    bytes.add("{\"token\":")
    bytes.add(token)
    if text.count > 1 { bytes.append(UInt8(ascii: ",")) }
    bytes += text
    return bytes
  }

  private static func text(of content: Content, _ newest: Newest) -> [UInt8] {
    switch content {
    case .kept(let text): return text
    case .effect(let message): return json(value(of: message))
    case .change(let store, let key, let seq, let new):
      let name = String(decoding: key, as: UTF8.self)
      var fields: Value.Map = [
        "type": "$change", "store": .string(store), "key": .string(name), "seq": .int(seq),
      ]
      switch new {
      case .put(let bytes): fields["value"] = value(of: bytes)
      case .deleted: fields["deleted"] = true
      case .relative:
        if let newest = newest(store, name) {
          fields["seq"] = .int(max(seq, newest.seq))
          if let value = newest.value { fields["value"] = value } else { fields["deleted"] = true }
        }
      }
      return json(.map(fields))
    case .ack(let key, let event, let results, let hint): return ack(key, event, results, hint)
    case .accepted(let key, let event):
      return Array("\"type\":\"$ack\",\"id\":\(key),\"event_id\":\"\(event)\",\"accepted\":true}".utf8)
    case .record(let record, .log): return json(.map(["type": "$record", "record": record.json]))
    case .record(let record, .executions):
      return json(.map(["type": "$execution", "execution": record.json]))
    }
  }

  /// Its text takes long to make, and nobody needs it at once.
  var isRecord: Bool { if case .record = content { true } else { false } }

  private static func value(of bytes: [UInt8]) -> Value {
    do { return try bytes.withUnsafeBytes { try CanonicalEncoding.decode($0) } } catch {
      preconditionFailure("a value of the log cannot be read: \(error)")
    }
  }

  /// A value that has no JSON form is told as text: whoever waits for the token must get a message.
  private static func json(_ value: Value) -> [UInt8] {
    if let bytes = try? JSON.bytes(value) { return Array(bytes.dropFirst()) }
    var bytes: [UInt8] = []
    bytes.add("\"text\":")
    bytes.add(quoted: "\(value)")
    bytes.add("}")
    return bytes
  }

  /// There is one for each message of a client.
  private static func ack(
    _ key: String, _ event: EventID, _ results: [KeyRow.Result], _ hint: String?
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(96 + 96 * results.count)
    bytes.add("\"type\":\"$ack\",\"id\":", key, ",\"event_id\":\"", event.description, "\",\"results\":[")
    for (place, result) in results.enumerated() {
      bytes.add(place > 0 ? "," : "", "{\"trigger\":")
      bytes.add(quoted: result.trigger)
      bytes.add(",\"seq\":")
      bytes.add(result.seq)
      bytes.add(",\"outcome\":\"", result.outcome.description, "\"")
      if let instead = result.instead { bytes.add(",\"instead\":\"\(instead)\"") }
      if let failure = result.failure {
        bytes.add(",\"code\":\"", failure.code.rawValue, "\",\"error\":")
        bytes.add(quoted: failure.message)
      }
      if let time = result.retryAt { bytes.add(",\"retry_at\":\"\(Timestamp(nanoseconds: time))\"") }
      bytes.add("}")
    }
    bytes.add("]")
    if let hint {
      bytes.add(",\"hint\":")
      bytes.add(quoted: hint)
    }
    bytes.add("}")
    return bytes
  }
}
