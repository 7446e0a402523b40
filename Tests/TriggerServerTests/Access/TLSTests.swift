import Foundation
import HostConfig
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization
import TestSupport
import Testing
import TriggerCore

@testable import TriggerServer

/// Certificates as files, and real handshakes with them.
@Suite struct TLSTests {
  /// A directory with what openssl(1) made.
  private final class Makers {
    let path = NSTemporaryDirectory() + "tls-\(UUID().uuidString)"
    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    func openssl(_ arguments: String) throws {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = ["openssl"] + arguments.split(separator: " ").map(String.init)
      process.currentDirectoryURL = URL(fileURLWithPath: path)
      process.standardError = FileHandle.nullDevice
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
      try #require(process.terminationStatus == 0, "openssl \(arguments)")
    }

    /// `NAME.pem` and `NAME.key`, signed by itself.
    func pair(_ name: String, options: String = "") throws {
      try openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout \(name).key -out \(name).pem -days 30 -subj /CN=\(name)\(options)"
      )
    }

    func copy(_ name: String, as other: String) throws {
      let bytes = try Data(contentsOf: URL(fileURLWithPath: self(name)))
      try bytes.write(to: URL(fileURLWithPath: self(other)), options: .atomic)
    }
  }

  /// Shakes hands with a server; what a client of HTTP does first.
  ///
  /// - Returns: the name in the certificate that the server showed.
  private func handshake(
    with context: NIOSSLContext, client: (inout TLSConfiguration) throws -> Void = { _ in }
  ) async throws -> String {
    let group = MultiThreadedEventLoopGroup.singleton
    let server = try await ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers([NIOSSLServerHandler(context: context), Greeter()])
        }
      }.bind(host: "127.0.0.1", port: 0).get()
    defer { server.close(promise: nil) }
    var configuration = TLSConfiguration.makeClientConfiguration()
    // Who the server is decides the test itself.
    configuration.certificateVerification = .none
    try client(&configuration)
    let clientContext = try NIOSSLContext(configuration: configuration)
    let greeted = group.next().makePromise(of: String.self)
    let channel = try await ClientBootstrap(group: group)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let handler = try NIOSSLClientHandler(context: clientContext, serverHostname: nil)
          try channel.pipeline.syncOperations.addHandlers([handler, Listener(greeted)])
        }
      }.connect(to: server.localAddress!).get()
    defer { channel.close(promise: nil) }
    return try await greeted.futureResult.get()
  }

  /// Sends a byte as soon as the handshake is over.
  private final class Greeter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      guard case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent else { return }
      context.writeAndFlush(NIOAny(ByteBuffer(string: "!")), promise: nil)
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
  }

  /// Waits for that byte, and says whose certificate it was.
  private final class Listener: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let promise: EventLoopPromise<String>
    init(_ promise: EventLoopPromise<String>) { self.promise = promise }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      context.channel.nioSSL_peerCertificate().map { "\(String(describing: $0?.commonName))" }.cascade(
        to: promise)
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      promise.fail(error)
      context.close(promise: nil)
    }
    func channelInactive(context: ChannelHandlerContext) { promise.fail(ChannelError.eof) }
  }

  @Test func aChangedCertificateIsThatOfTheNextConnection() async throws {
    let make = try Makers()
    for name in ["first", "second"] { try make.pair(name) }
    try make.copy("first.pem", as: "in-use.pem")
    try make.copy("first.key", as: "in-use.key")
    let certificate = try ServerCertificate(
      TLSFiles(certificate: make("in-use.pem"), key: make("in-use.key")))
    // As a server does it: made once.
    let context = try NIOSSLContext(configuration: certificate.configuration())
    #expect(try await handshake(with: context).contains("first"))
    var reports: [String] = []
    func look() { certificate.look { reports.append($0.map { "\($0)" } ?? "new") } }
    look()
    // One file after the other: half a pair is nothing to read.
    try make.copy("second.pem", as: "in-use.pem")
    look()
    #expect(reports.isEmpty)
    try make.copy("second.key", as: "in-use.key")
    look()
    look()
    look()
    #expect(reports == ["new"])
    #expect(try await handshake(with: context).contains("second"))
    // What does not fit together is said once, and changes nothing.
    try make.copy("first.key", as: "in-use.key")
    for _ in 0..<4 { look() }
    #expect(
      reports.count == 2
        && reports[1].hasPrefix("\(make("in-use.key")): is not the key of \(make("in-use.pem"))"))
    #expect(try await handshake(with: context).contains("second"))
    try FileManager.default.removeItem(atPath: make("in-use.key"))
    for _ in 0..<4 { look() }
    #expect(reports.count == 3 && reports[2].hasSuffix("no such file"))
    let days =
      (certificate.expires.nanoseconds / 1_000_000_000 - Int64(Date().timeIntervalSince1970)) / 86_400
    #expect((28...30).contains(days))
  }

  /// Without anybody's call: as a host does it.
  @Test func aRunningHostLooksByItself() async throws {
    let make = try Makers()
    for name in ["first", "second"] { try make.pair(name) }
    let certificate = try ServerCertificate(TLSFiles(certificate: make("first.pem"), key: make("first.key")))
    // As a server does it: made once.
    let context = try NIOSSLContext(configuration: certificate.configuration())
    let reports = AsyncStream.makeStream(of: String.self)
    certificate.start { reports.continuation.yield($0.map { "\($0)" } ?? "new") }
    try make.copy("second.pem", as: "first.pem")
    try make.copy("second.key", as: "first.key")
    for await report in reports.stream where report == "new" { break }
    certificate.stop()
    #expect(try await handshake(with: context).contains("second"))
  }

  @Test func callersMayHaveToShowACertificate() async throws {
    let make = try Makers()
    for name in ["server", "stranger"] { try make.pair(name) }
    try make.pair("ca", options: " -addext basicConstraints=critical,CA:TRUE")
    try make.openssl(
      "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout caller.key -out caller.csr -subj /CN=caller"
    )
    try make.openssl(
      "x509 -req -in caller.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out caller.pem -days 30")
    let files = TLSFiles(certificate: make("server.pem"), key: make("server.key"), clientCA: make("ca.pem"))
    let context = try NIOSSLContext(configuration: try ServerCertificate(files).configuration())
    func showing(_ name: String) async throws -> String {
      try await handshake(with: context) { configuration in
        configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(make("\(name).pem")).map {
          .certificate($0)
        }
        configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: make("\(name).key"), format: .pem))
      }
    }
    #expect(try await showing("caller").contains("server"))
    await #expect(throws: (any Error).self) { try await showing("stranger") }
    await #expect(throws: (any Error).self) { try await handshake(with: context) }
  }

  @Test func aConfigurationNamesTheLine() throws {
    let make = try Makers()
    for name in ["good", "other"] { try make.pair(name) }
    func load(_ text: String) throws -> ServerCertificate? {
      try ServerCertificate.load(HostConfig.parse(text: text, file: make("host.yaml")).config)
    }
    let certificate = try #require(try load("tls: { certificate: good.pem, key: good.key }"))
    #expect(try load("") == nil)
    #expect(
      performing: { try load("order: strict\ntls:\n  certificate: good.pem\n  key: other.key") },
      throws: { "\($0)".hasPrefix("\(make("host.yaml")):3: tls: \(make("other.key")): is not the key of ") })
    func at(_ days: Int64) -> Timestamp {
      Timestamp(nanoseconds: certificate.expires.nanoseconds - days * 86_400 * 1_000_000_000)
    }
    #expect(certificate.warning(at: at(8)) == nil)
    #expect(certificate.warning(at: at(6))?.hasPrefix("the certificate ends soon (20") == true)
    #expect(certificate.warning(at: at(0))?.hasPrefix("the certificate has ended (20") == true)
  }

  @Test func whatIsWrongIsSaidWithTheFile() throws {
    let make = try Makers()
    try make.pair("good")
    try make.pair("other")
    try make.openssl("ec -in good.key -aes128 -passout pass:x -out locked.key")
    try Data("hello\n".utf8).write(to: URL(fileURLWithPath: make("text.pem")))
    let cases = [
      ("none.pem", "good.key", "\(make("none.pem")): cannot be read: no such file"),
      ("text.pem", "good.key", "\(make("text.pem")): has no certificate that can be read; expected PEM"),
      ("good.key", "good.key", "\(make("good.key")): has no certificate that can be read; expected PEM"),
      ("good.pem", "none.key", "\(make("none.key")): cannot be read: no such file"),
      ("good.pem", "good.pem", "\(make("good.pem")): has no private key that can be read; expected PEM"),
      ("good.pem", "locked.key", "\(make("locked.key")): has no private key that can be read; expected PEM"),
      ("good.pem", "other.key", "\(make("other.key")): is not the key of \(make("good.pem"))"),
      ("good.pem", ".", "\(make(".")): is not a regular file but a directory"),
    ]
    for (certificate, key, message) in cases {
      let files = TLSFiles(certificate: make(certificate), key: make(key))
      #expect(performing: { try ServerCertificate(files) }, throws: { "\($0)".hasPrefix(message) })
    }
    let files = TLSFiles(certificate: make("good.pem"), key: make("good.key"), clientCA: make("text.pem"))
    #expect(
      performing: { try ServerCertificate(files) },
      throws: { "\($0)".hasPrefix("\(make("text.pem")): has no cert") })
  }
}

extension NIOSSLCertificate {
  /// Of its subject, as text that has it.
  fileprivate var commonName: String { String(decoding: (try? toDERBytes()) ?? [], as: UTF8.self) }
}
