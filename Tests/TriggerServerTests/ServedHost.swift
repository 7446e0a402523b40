import Foundation
import Testing
import TriggerCore
import TriggerHost
import TriggerRuntime

@testable import TriggerServer

/// A host with a server on a free port of this machine, in a directory that goes with it.
final class ServedHost: Sendable {
  static let scripts: [String: String] = [
    "visit": """
    return { on = { event = "visit" }, execute = function(event, ctx)
      return { ctx:store("pages"):add(event.page, 1) }
    end }
    """,
    "order": """
    return { on = { event = "order.placed" }, execute = function(event, ctx)
      return { ctx:store("orders"):put(event.id, event) }
    end }
    """,
  ]

  let host: RunningHost
  let server: HostServer
  let port: Int
  let directory: String
  private let running: Task<Void, any Error>

  init(
    _ scripts: [String: String] = ServedHost.scripts, _ options: ServerOptions = ServerOptions(),
    conversations: MakeConversation? = nil
  ) async throws {
    directory = NSTemporaryDirectory() + "served-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: directory + "/triggers", withIntermediateDirectories: true)
    for (name, text) in scripts {
      try Data(text.utf8).write(to: URL(fileURLWithPath: "\(directory)/triggers/\(name).lua"))
    }
    try Data("data: data\nscripts: { directory: triggers, watch: off }\n".utf8)
      .write(to: URL(fileURLWithPath: directory + "/host.yaml"))
    host = try await OpenedHost(HostPlaces(directory: directory)).recover().start()
    server = try HostServer(host, options, conversations: conversations) { router in
      router.get("hello") { _, _ in "hello" }
    }
    running = Task { [server] in try await server.run() }
    port = try await server.whenListening().get().port
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  func stop() async throws {
    await server.stop()
    try await running.value
    await host.stop()
  }

  /// Sends bytes as they are, and reads until the server closes the connection, or the answer has the text.
  func raw(_ text: String, closes: Bool = false, until: String? = nil) async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
      Thread { [port] in
        continuation.resume(with: Result { try Self.exchange(text, port, closes: closes, until: until) })
      }.start()
    }
  }

  private static func exchange(
    _ text: String, _ port: Int, closes: Bool, until: String?
  ) throws -> String {
    let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(client) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let isConnected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    if !isConnected { throw NotConnected() }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { break }
      rest = rest.dropFirst(count)
    }
    if closes { shutdown(client, Int32(SHUT_WR)) }
    var (answer, block) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 16))
    while true {
      let count = recv(client, &block, block.count, 0)
      if count <= 0 { break }
      answer += block[..<count]
      if let until, String(decoding: answer, as: UTF8.self).contains(until) { break }
    }
    return String(decoding: answer, as: UTF8.self)
  }

  struct NotConnected: Error {}

  /// The connection was closed before there was one.
  struct NoAnswer: Error { let text: String }

  struct Answer {
    var status: Int
    var head: String
    var body: String
    var json: Value { (try? JSON.parse(body)) ?? .null }
    subscript(name: String) -> Value? { if case .map(let map) = json { map[name] } else { nil } }
  }

  /// One request on a connection of its own.
  func ask(
    _ method: String, _ target: String, _ body: String = "", type: String? = "application/json",
    _ fields: String...
  ) async throws -> Answer {
    var text = "\(method) \(target) HTTP/1.1\r\nHost: localhost:\(port)\r\nConnection: close\r\n"
    if let type, !body.isEmpty { text += "Content-Type: \(type)\r\n" }
    for field in fields { text += field + "\r\n" }
    text += "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    return try Self.parsed(try await raw(text))
  }

  static func parsed(_ text: String) throws -> Answer {
    guard let end = text.range(of: "\r\n\r\n") else { throw NoAnswer(text: text) }
    let head = String(text[..<end.lowerBound])
    let status = try #require(Int(head.split(separator: " ")[1]))
    var body = String(text[end.upperBound...])
    if head.lowercased().contains("transfer-encoding: chunked") { body = unchunked(body) }
    return Answer(status: status, head: head, body: body)
  }

  private static func unchunked(_ text: String) -> String {
    var (rest, body) = (Array(text.utf8)[...], [UInt8]())
    while let end = rest.firstIndex(of: 13),
      let size = Int(String(decoding: rest[..<end], as: UTF8.self), radix: 16), size > 0
    {
      let start = end + 2
      body += rest[start..<min(start + size, rest.endIndex)]
      rest = rest[min(start + size + 2, rest.endIndex)...]
    }
    return String(decoding: body, as: UTF8.self)
  }
}

/// Serves a host while `body` runs.
func serving(
  _ scripts: [String: String] = ServedHost.scripts, _ options: ServerOptions = ServerOptions(),
  conversations: MakeConversation? = nil, _ body: (ServedHost) async throws -> Void
) async throws {
  let served = try await ServedHost(scripts, options, conversations: conversations)
  do { try await body(served) } catch {
    try? await served.stop()
    throw error
  }
  try await served.stop()
}
