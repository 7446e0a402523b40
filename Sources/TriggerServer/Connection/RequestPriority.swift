import HTTPTypes
import TriggerHost

/// How urgent a request is, as far as its head says: so what its connection has to do gets its turns.
///
/// Nobody is asked yet whether the sender may: who is not let in gets a turn for the refusal.
enum RequestPriority {
  static func of(_ head: HTTPRequest) -> Priority {
    guard let path = head.path else { return .normal }
    // Whoever asks for the health of a host that is flooded learns it.
    if path == "/healthz" || path == "/readyz" { return .critical }
    guard path.utf8.starts(with: "/v1/events".utf8), let start = path.utf8.firstIndex(of: UInt8(ascii: "?"))
    else {
      return .normal
    }
    for field in path[start...].dropFirst().split(separator: "&") where field.hasPrefix("priority=") {
      return Priority(field.dropFirst("priority=".count)) ?? .normal
    }
    return .normal
  }
}
