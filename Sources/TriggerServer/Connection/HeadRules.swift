import HTTPTypes
import NIOHTTP1

/// What the decoder lets pass and HTTP does not, and after which answer a connection ends. A pure machine for one
/// connection: it is told each head twice, as it was sent and as HTTP's versions have it in common, and each answer.
struct HeadRules {
  /// Heads that have come, answers that have begun, and the head after whose answer the connection ends.
  private var heads = 0
  private var answers = 0
  private var lastHead: Int?
  private var problem: Problem?

  /// A head as HTTP/1 has it.
  mutating func came(_ head: HTTPRequestHead) {
    heads += 1
    // RFC 9112, section 9.3. After a request for another protocol the decoder reads nothing, whatever the answer.
    if !head.isKeepAlive || head.headers.contains(name: "Upgrade") { lastHead = lastHead ?? heads }
    // RFC 9112, section 3.2.2: the host of the target counts.
    guard !head.uri.utf8.starts(with: "/".utf8), let start = head.uri.range(of: "://") else { return }
    let authority = head.uri[start.upperBound...].prefix { $0 != "/" && $0 != "?" }
    if authority.lowercased() != head.headers.first(name: "Host")?.lowercased() {
      problem = Problem(.misdirected, "the target and the Host field name two hosts")
    }
  }

  /// The same head; what is wrong with it.
  mutating func came(_ head: HTTPRequest) -> Problem? {
    if let problem { return problem }
    // RFC 9112, section 3.2: exactly one. The first became the authority.
    if head.headerFields.contains(.host) { return Problem(.badRequest, "more than one Host field") }
    guard let path = head.path, path.utf8.first == UInt8(ascii: "/") || path == "*" else {
      return Problem(.badRequest, "the request target does not begin with a slash")
    }
    return nil
  }

  /// An answer begins, and no interim one; whether it is the last of the connection.
  mutating func answered() -> Bool {
    answers += 1
    return answers == lastHead
  }
}
