import Synchronization
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerRuntime

/// A client's end of a socket.
final class SessionClient: SessionSocket {
  let frames = Heard<[String]>()
  let all = Mutex<[String]>([])
  let waiting = Atomic<Int>(0)
  let session = Mutex<String?>(nil)
  let ends = Heard<SessionEnd>()

  func send(_ frames: [[UInt8]]) {
    let texts = frames.map { String(decoding: $0, as: UTF8.self) }
    self.frames.hear(
      all.withLock { all in
        all += texts
        return all
      })
  }
  func opened(session: String) { self.session.withLock { $0 = session } }
  func end(_ reason: SessionEnd) { ends.hear(reason) }
  var waitingBytes: Int { waiting.load(ordering: .relaxed) }

  /// All that has come, once it is enough.
  func has(_ count: Int) async throws -> [Value] {
    try await frames.first { $0.count >= count }.map { try JSON.parse($0) }
  }
  func end() async throws -> SessionEnd { try await ends.first { _ in true } }
  var id: String { session.withLock { $0! } }
}

extension HostSessions {
  /// That of the newest message.
  func token(of session: String) -> Int64 {
    lock.lock()
    defer { lock.unlock() }
    return table.byID[session]!.token
  }
}

/// What clients say to a host.
struct SessionTalk {
  let host: RunningHost
  let intake: EventIntake
  var sessions: HostSessions { host.sessions! }

  init(_ host: RunningHost) { (self.host, intake) = (host, EventIntake(host)) }

  func open(_ owner: String = "me") async throws -> (SessionClient, SessionLink) {
    let client = SessionClient()
    let link = sessions.open(SessionOpening(owner: owner), client)
    _ = try await client.has(1)
    return (client, link)
  }

  func say(_ client: SessionClient, _ type: String, _ text: String, id: String?, isKept: Bool = false) throws
  {
    let fields: Value.Map = ["text": .string(text), "session": .string(client.id)]
    var event = Event(type, .map(fields), kind: .message)
    event.isKept = isKept
    #expect(try sessions.offer(event, key: id.map { "\"\($0)\"" }, session: client.id, intake) {})
  }
}

/// A log whose blocks are looked at, or kept back, before they are read.
final class HookedSource: LogSource {
  typealias Hook = @Sendable ([LogBlock]) throws -> [LogBlock]
  private let source: any LogSource
  private let hook: Hook

  init(_ source: any LogSource, _ hook: @escaping Hook) { (self.source, self.hook) = (source, hook) }

  func blocks(after seq: Int64, through last: Int64, bytes: Int) throws -> [LogBlock] {
    var seq = seq
    while true {
      let found = try source.blocks(after: seq, through: last, bytes: bytes)
      let shown = try hook(found)
      if found.isEmpty || !shown.isEmpty { return shown }
      seq = found[found.count - 1].last
    }
  }

  var path: String { source.path }
  func logID() throws -> Int64 { try source.logID() }
  var another: @Sendable () throws -> any LogSource { source.another }
  func close() { source.close() }
  func isDamage(_ error: any Error) -> Bool { source.isDamage(error) }
  func visitHeads(after seq: Int64, _ body: (LogBlock, Int) throws -> Bool) throws {
    try source.visitHeads(after: seq, body)
  }
  func end() throws -> LogPosition { try source.end() }
  func firstSeq() throws -> Int64 { try source.firstSeq() }
  func cut() throws -> LogPosition? { try source.cut() }
  func changeCount() throws -> Int64 { try source.changeCount() }
  func epochs() throws -> [LogEpoch] { try source.epochs() }
  func room() throws -> LogRoom { try source.room() }
  func checkpoints() throws -> [KeptCheckpoint] { try source.checkpoints() }
  func newCheckpointID() throws -> Int64 { try source.newCheckpointID() }
  func rest(ofCheckpoint id: Int64) throws -> (fold: [UInt8], digests: [UInt8])? {
    try source.rest(ofCheckpoint: id)
  }
  func visitParts(
    ofCheckpoint id: Int64, _ body: (Int64, Int64, UnsafeRawBufferPointer?) throws -> Void
  ) throws { try source.visitParts(ofCheckpoint: id, body) }
  func parts(ofCheckpoint id: Int64) throws -> (count: Int, bytes: Int) {
    try source.parts(ofCheckpoint: id)
  }
  func visitAccepted(_ body: (EventID, Int64, UnsafeRawBufferPointer) throws -> Void) throws {
    try source.visitAccepted(body)
  }
  func deadMarks() throws -> [Int64: DeadMark] { try source.deadMarks() }
  func schedule(_ name: String) throws -> (rule: String, since: Int64)? { try source.schedule(name) }
  func confirmed(receiver: String) throws -> Int64? { try source.confirmed(receiver: receiver) }
  func visitSessions(_ body: (String, Int64, UnsafeRawBufferPointer) throws -> Void) throws {
    try source.visitSessions(body)
  }
  func scriptTrees() throws -> [KeptScriptTree] { try source.scriptTrees() }
  func newestTree() throws -> ScriptTree.Identity? { try source.newestTree() }
  func tree(_ number: Int) throws -> (identity: ScriptTree.Identity, files: [String: [UInt8]])? {
    try source.tree(number)
  }
  func waitingScripts() throws -> [ScriptReload.Waiting] { try source.waitingScripts() }
  func visitKeyParts(_ body: (Int64, Int64, Int64, UnsafeRawBufferPointer) throws -> Void) throws {
    try source.visitKeyParts(body)
  }
  func keyRows(ofPart number: Int64) throws -> (checksum: Int64, rows: [UInt8])? {
    try source.keyRows(ofPart: number)
  }
  func newestKeyPart() throws -> (next: Int64, through: Int64) { try source.newestKeyPart() }
}
