import HTTPTypes
import NIOHTTP1
import NIOHTTPTypesHTTP1
import Testing

@testable import TriggerServer

@Suite struct HeadRulesTests {
  /// What is wrong with a head, as the server sees it.
  private func problem(
    _ uri: String, _ fields: (String, String)...
  ) throws -> Problem.Code? {
    var rules = HeadRules()
    let fields = fields.isEmpty ? [("Host", "localhost")] : fields
    let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: uri, headers: HTTPHeaders(fields))
    rules.came(head)
    return rules.came(try HTTPRequest(head, secure: false, splitCookie: false))?.code
  }

  @Test func whatTheDecoderLetsPass() throws {
    #expect(try problem("/healthz") == nil)
    #expect(try problem("*") == nil)
    #expect(try problem("healthz") == .badRequest)
    #expect(try problem("/", ("Host", "a"), ("host", "a")) == .badRequest)
    // What looks like a host within a path is none.
    #expect(try problem("/x://y") == nil)
    #expect(try problem("http://LOCALHOST/healthz") != .misdirected)
    #expect(try problem("http://evil.example/healthz") == .misdirected)
  }

  @Test func theLastAnswerIsThatOfTheHeadThatSaysSo() {
    var rules = HeadRules()
    func came(_ version: HTTPVersion, _ fields: (String, String)...) {
      rules.came(
        HTTPRequestHead(version: version, method: .GET, uri: "/", headers: HTTPHeaders(fields)))
    }
    came(.http1_1, ("Host", "a"))
    came(.http1_0)
    came(.http1_1, ("Connection", "close"))
    let ends = (0..<3).map { _ in rules.answered() }
    #expect(ends == [false, true, false])
    rules = HeadRules()
    came(.http1_1, ("Upgrade", "h2c"))
    let endsAtOnce = rules.answered()
    #expect(endsAtOnce)
  }
}
