import Testing

import TriggerServer

/// What scopes permit, and which texts are scopes.
@Suite struct ScopeTests {
  @Test(arguments: [
    ("read", [true, false, false, false]), ("admin", [true, true, true, true]),
    ("events:bars/EURUSD", [false, true, false, false]), ("events:bars/*", [false, true, false, false]),
    ("events:*", [false, true, true, false]), ("events:visit", [false, false, true, false]),
    ("events:bars", [false, false, false, false]),
  ])
  func permits(_ text: String, _ expected: [Bool]) throws {
    let scope = try Scope(parsing: text)
    let actions: [Action] = [.read, .send(event: "bars/EURUSD"), .send(event: "visit"), .act]
    #expect(actions.map(scope.permits) == expected)
    #expect(scope.description == text)
    #expect(try Scope(parsing: scope.description) == scope)
  }

  @Test(arguments: [
    ("", "the scope `` is not known"), ("reed", "did you mean 'read'?"), ("Read", "is not known"),
    ("events:", "names no event"), ("events:a*b", "has a `*` before its end"),
    ("events:**", "has a `*` before its end"),
    ("events:a b", "names no event"), ("events:a\n", "names no event"), ("events:\u{7F}", "names no event"),
    ("events:\(String(repeating: "x", count: 257))", "at most 256 bytes"), ("read,admin", "is not known"),
  ])
  func isRefused(_ text: String, _ message: String) {
    #expect(performing: { try Scope(parsing: text) }, throws: { "\($0)".contains(message) })
  }

  @Test func severalPermitWhatOneOfThemDoes() throws {
    let scopes = [try Scope(parsing: "read"), try Scope(parsing: "events:a*")]
    #expect(scopes.permits(.read) && scopes.permits(.send(event: "ab")) && !scopes.permits(.act))
    #expect(![Scope]().permits(.read))
  }

  /// As everywhere in the host, names are equal when their bytes are.
  @Test func otherSpellingsOfACharacterAreOtherNames() throws {
    let scope = try Scope(parsing: "events:caf\u{E9}")
    #expect(scope.permits(.send(event: "caf\u{E9}")) && !scope.permits(.send(event: "cafe\u{301}")))
    #expect(!(try Scope(parsing: "events:caf\u{E9}*")).permits(.send(event: "cafe\u{301}x")))
  }
}
