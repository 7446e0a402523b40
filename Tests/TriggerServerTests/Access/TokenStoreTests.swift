import Foundation
import TestSupport
import Testing
import TriggerCore

@testable import TriggerServer

/// The files of tokens, and a host that follows them.
@Suite struct TokenStoreTests {
  private let now = TokenTests.now

  /// Makes a directory, and removes it afterwards.
  private func inDirectory(_ body: (String) async throws -> Void) async throws {
    let path = NSTemporaryDirectory() + "access-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(path)
  }

  private func mode(_ path: String) throws -> Int {
    try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
  }

  @Test func filesAreForTheirOwnerAlone() async throws {
    try await inDirectory { path async throws in
      let files = TokenFiles(in: path)
      #expect(try files.list().isEmpty)
      // Looking makes nothing.
      #expect(try FileManager.default.contentsOfDirectory(atPath: path).isEmpty)
      let (token, text) = try files.create(name: "feed", scopes: [.read], now: now)
      #expect(try mode("\(path)/access") == 0o700 && mode("\(path)/access/tokens.json") == 0o600)
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(path)/access") == ["tokens.json"])
      #expect(try files.list().map(\.token) == [token])
      #expect(try TokenStore(files).check(text, at: now) == .good(token))
    }
  }

  @Test func whatIsWrongIsSaidWithTheFile() async throws {
    try await inDirectory { path async throws in
      let files = TokenFiles(in: path)
      _ = try files.create(scopes: [.admin], now: now)
      let file = "\(path)/access/tokens.json"
      try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: file)
      #expect(
        performing: { try files.list() }, throws: { "\($0)".contains("others may write to it (mode 0666)") })
      try Data("{".utf8).write(to: URL(fileURLWithPath: file))
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
      #expect(performing: { try TokenStore(files) }, throws: { "\($0)".hasPrefix("\(file): 1:2: ") })
      // Nothing is written over what could not be read.
      #expect(throws: AccessError.self) { try files.create(scopes: [.admin], now: now) }
      #expect(try String(contentsOfFile: file, encoding: .utf8) == "{")
    }
  }

  @Test func whatIsNoTokenIsNotMade() async throws {
    try await inDirectory { path async throws in
      let files = TokenFiles(in: path)
      #expect(throws: AccessError.self) { try files.create(scopes: [], now: now) }
      #expect(throws: AccessError.self) { try files.create(name: "", scopes: [.read], now: now) }
      #expect(throws: AccessError.self) { try files.create(name: "a\u{1B}[2J", scopes: [.read], now: now) }
      #expect(throws: AccessError.self) { try files.create(scopes: [.read], expires: now, now: now) }
      #expect(try FileManager.default.contentsOfDirectory(atPath: path).isEmpty)
      #expect(
        performing: { try TokenFiles(in: "\(path)/none/none").create(scopes: [.read], now: now) },
        throws: { "\($0)" == "\(path)/none/none/access: cannot be made: no such file or directory" })
    }
  }

  /// Each reads, changes and writes: none undoes another's change.
  @Test func manyMakeTokensAtOnce() async throws {
    try await inDirectory { path async throws in
      let files = TokenFiles(in: path)
      // Threads of their own: on a machine with few cores tasks may well run one after another.
      let (stream, continuation) = AsyncStream.makeStream(of: TokenID?.self)
      for index in 0..<24 {
        Thread.detachNewThread { [now] in
          let id = try? files.create(name: "\(index)", scopes: [.read], now: now).token.id
          if let id, index.isMultiple(of: 3) { _ = try? files.revoke(id, now: now) }
          continuation.yield(id)
        }
      }
      var made = Set<TokenID?>()
      for await id in stream.prefix(24) { made.insert(id) }
      let list = try files.list().map(\.token)
      #expect(
        made.count == 24 && Set(list.map { Optional($0.id) }) == made && list.count { $0.revoked != nil } == 8
      )
    }
  }

  @Test func aRunningHostKnowsOfEachChange() async throws {
    try await inDirectory { path async throws in
      let files = TokenFiles(in: path)
      let store = try TokenStore(files)
      let (changes, continuation) = AsyncStream.makeStream(of: TokenStore.Change.self)
      store.start { continuation.yield($0) }
      defer { store.stop() }
      #expect(!store.hasTokens)
      let (token, text) = try files.create(scopes: [.read], now: now)
      try await poll(for: "the new token") { store.check(text, at: now) == .good(token) }
      #expect(store.hasTokens)
      let (other, _) = try files.create(scopes: [.admin], now: now)
      _ = try files.revoke(token.id, now: now)
      var next = changes.makeAsyncIterator()
      guard case .first = await next.next() else { throw WaitedForAnother() }
      guard case .lost(let lost) = await next.next() else { throw WaitedForAnother() }
      #expect(lost == [token.id])
      #expect(store.check(text, at: now) == .revoked(token.id))
      #expect(store.token(token.id, at: now) == nil && store.token(other.id, at: now) == other)

      // What cannot be read changes nothing, and is said.
      try Data("{".utf8).write(to: URL(fileURLWithPath: "\(files.path)/tokens.json"))
      guard case .problem(let text) = await next.next() else { throw WaitedForAnother() }
      #expect(text.hasPrefix("\(files.path)/tokens.json: "))
      #expect(store.token(other.id, at: now) == other)

      // Who deletes the file locks everybody out, and lets nobody in.
      try FileManager.default.removeItem(atPath: "\(files.path)/tokens.json")
      guard case .lost(let all) = await next.next() else { throw WaitedForAnother() }
      #expect(all == [other.id] && store.hasTokens && store.token(other.id, at: now) == nil)
    }
  }

  struct WaitedForAnother: Error {}

  @Test func usesAreWrittenOnceAMinute() async throws {
    try await inDirectory { path async throws in
      let files = TokenFiles(in: path)
      let (token, text) = try files.create(scopes: [.read], now: now)
      let store = try TokenStore(files)
      func used() throws -> Timestamp? { try files.list()[0].used }
      _ = store.check(text, at: now)
      #expect(try used() == nil)
      try store.saveUses()
      #expect(try used() == now && mode("\(path)/access/used.json") == 0o600)
      // Within the minute nothing is noted: the file stays as it is, even as if it had been deleted.
      try FileManager.default.removeItem(atPath: "\(path)/access/used.json")
      _ = store.check(text, at: TokenTests.later(59))
      try store.saveUses()
      #expect(try used() == nil)
      _ = store.check(text, at: TokenTests.later(60))
      // The end of the host writes down what is left.
      store.stop()
      #expect(try used() == TokenTests.later(60))
      // A clock that was set back counts as another minute, and a file of nonsense as no times.
      let next = try TokenStore(files)
      _ = next.check(text, at: now)
      try next.saveUses()
      #expect(try used() == now)
      for nonsense in ["", "[]", #"{"used": 5}"#, #"{"used": {"x": "y", "\#(token.id)": 7}}"#] {
        try Data(nonsense.utf8).write(to: URL(fileURLWithPath: "\(path)/access/used.json"))
        #expect(try used() == nil)
      }
      // The farthest times that there are.
      let farthest = #"{"used": {"\#(token.id)": "2262-04-11T23:47:16.854775807Z"}}"#
      try Data(farthest.utf8).write(to: URL(fileURLWithPath: "\(path)/access/used.json"))
      #expect(try TokenStore(files).check(text, at: Timestamp(nanoseconds: -1)) == .good(token))
    }
  }
}
