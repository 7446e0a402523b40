import Foundation
import Testing
import TriggerCore
import TriggerHost
import TriggerRuntime

@testable import TriggerServer

@Suite(.timeLimit(.minutes(10))) struct HostSocketTests {
  private struct NoSocket: Error {}

  /// A host in a directory, with its socket, while `body` runs.
  private func open(
    _ directory: String = NSTemporaryDirectory() + "socket-\(UUID().uuidString)",
    _ body: (_ data: String) async throws -> Void
  ) async throws {
    try FileManager.default.createDirectory(
      atPath: directory + "/triggers", withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    for (name, text) in ActionTests.scripts {
      try Data(text.utf8).write(to: URL(fileURLWithPath: "\(directory)/triggers/\(name).lua"))
    }
    try Data("data: data\n".utf8).write(to: URL(fileURLWithPath: directory + "/host.yaml"))
    let host = try await OpenedHost(HostPlaces(directory: directory)).recover().start()
    guard let socket = try HostSocket(host) else { throw NoSocket() }
    let running = Task { try await socket.run() }
    try await socket.listening()
    do { try await body(directory + "/data") } catch {
      Issue.record(error)
    }
    await socket.stop()
    try await running.value
    await host.stop()
    let client = await HostClient(data: directory + "/data")
    #expect(client == nil)
  }

  @Test func itsOwnerMayDoEverything() async throws {
    try await open { data in
      let client = try #require(await HostClient(data: data))
      let answer = try await client.send("GET", "/v1/stats")
      #expect(answer.status == 200 && answer.json["seq"] == 0, "\(answer)")
      let act = try await #require(await HostClient(data: data)).send("POST", "/v1/dead/1/requeue")
      #expect(act.status == 404 && act.code == "not_dead", "\(act)")
      #expect(act.refusal.description.contains("seq 1 is not among"), "\(act.refusal)")
      // By whatever name.
      let link = data + "-link"
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: data)
      let other = await HostClient(data: link)
      #expect(other != nil)
      // A copy is another directory.
      try FileManager.default.copyItem(atPath: data, toPath: data + "-copy")
      let copy = await HostClient(data: data + "-copy")
      #expect(copy == nil)
    }
  }

  /// Longer than the path of any socket may be.
  @Test func aLongPathIsNoObstacle() async throws {
    let name = String(repeating: "long-", count: 30)
    let root = NSTemporaryDirectory() + "socket-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: root) }
    try await open(root + "/" + name) { data in
      let client = try #require(await HostClient(data: data))
      #expect(try await client.send("GET", "/readyz").status == 200)
    }
  }

  @Test func onlyItsUserAndRootAreServed() {
    #expect(OwnerSocket.serves(1000, host: 1000) && OwnerSocket.serves(0, host: 1000))
    #expect(!OwnerSocket.serves(1001, host: 1000) && !OwnerSocket.serves(1000, host: 0))
  }

  /// A process of another user, where the tests may start one.
  @Test(.enabled(if: geteuid() == 0)) func othersAreRefused() async throws {
    try await open { data in
      let name = try #require(OwnerSocket.name(data: data)).dropFirst()
      let script = """
        import os, socket, sys
        os.setuid(int(sys.argv[1]))
        s = socket.socket(socket.AF_UNIX)
        s.connect("\\0\(name)".ljust(108, "\\0"))
        s.sendall(b"GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
        print(s.makefile().read())
        """
      func ask(as user: String) async throws -> String {
        let (process, pipe) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", script, user]
        process.standardOutput = pipe
        return try await withCheckedThrowingContinuation { continuation in
          Thread {
            continuation.resume(
              with: Result {
                try process.run()
                return String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
              })
          }.start()
        }
      }
      let refused = try await ask(as: "65534")
      #expect(refused.hasPrefix("HTTP/1.1 403 ") && refused.contains("forbidden"), "\(refused)")
      let answer = try await ask(as: "0")
      #expect(answer.hasPrefix("HTTP/1.1 200 "), "\(answer)")
    }
  }

  @Test func aHostInMemoryHasNone() async throws {
    let host = try OpenedHost(EngineConfiguration()).recover().start(scripts: nil)
    #expect(try HostSocket(host) == nil)
    await host.stop()
  }
}
