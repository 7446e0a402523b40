import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import TriggerCore
import TriggerHost

/// Asks a host that runs, over the socket of its data directory (`HostSocket`). Any thread.
package final class HostClient: Sendable {
  private let channel: any Channel

  /// Nil when nobody listens there who may be believed: no host runs, or it is one that does not listen.
  ///
  /// - Parameter data: the data directory.
  package init?(data: String) async {
    guard let name = OwnerSocket.name(data: data) else { return nil }
    let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .connectTimeout(.seconds(10))
      .channelInitializer { channel in channel.pipeline.addHTTPClientHandlers() }
    guard let channel = try? await bootstrap.connect(unixDomainSocketPath: name).get() else { return nil }
    self.channel = channel
    guard let user = try? await OwnerSocket.user(of: channel), OwnerSocket.believes(user, data: data) else {
      return nil
    }
  }

  deinit { channel.close(promise: nil) }

  /// An answer of the host.
  package struct Answer: Sendable {
    package var status: Int
    package var json: Value
    /// The refusal's code; nil when it is none.
    package var code: String? { if case .string(let code)? = json["code"] { code } else { nil } }
    /// The refusal as an error, with the words of the host.
    package var refusal: HostClientError {
      let texts = ["title", "detail"].compactMap { name -> String? in
        if case .string(let text)? = json[name] { text } else { nil }
      }
      return HostClientError(description: "the running host refuses: \(texts.joined(separator: ": "))")
    }
  }

  /// Sends a request and waits for its answer. Once.
  ///
  /// - Parameter target: path and query, escaped.
  /// - Throws: `HostClientError` when the host goes away meanwhile, or answers no JSON.
  package func send(_ method: String, _ target: String, _ body: Value? = nil) async throws -> Answer {
    do { return try await exchange(method, target, body) } catch let error as HostClientError {
      throw error
    } catch { throw HostClientError(description: "the running host does not answer: \(error)") }
  }

  private func exchange(_ method: String, _ target: String, _ body: Value?) async throws -> Answer {
    let bytes = body?.jsonBytes ?? []
    var head = HTTPRequestHead(version: .http1_1, method: HTTPMethod(rawValue: method), uri: target)
    head.headers.add(name: "Host", value: "localhost")
    head.headers.add(name: "Connection", value: "close")
    head.headers.add(name: "Content-Length", value: "\(bytes.count)")
    if body != nil { head.headers.add(name: "Content-Type", value: "application/json") }
    return try await channel.eventLoop.flatSubmit { [channel, head] in
      let answer = channel.eventLoop.makePromise(of: Answer.self)
      do { try channel.pipeline.syncOperations.addHandler(AnswerReader(answer)) } catch { answer.fail(error) }
      channel.write(HTTPClientRequestPart.head(head), promise: nil)
      if !bytes.isEmpty {
        channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: bytes))), promise: nil)
      }
      channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
      return answer.futureResult
    }.get()
  }
}

/// Puts one answer together. On its event loop.
private final class AnswerReader: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart

  /// Longer answers are a defect.
  private static let longest = 64 << 20

  private let answer: EventLoopPromise<HostClient.Answer>
  private var status = 0
  private var bytes: [UInt8] = []

  init(_ answer: EventLoopPromise<HostClient.Answer>) { self.answer = answer }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): status = Int(head.status.code)
    case .body(let buffer):
      bytes.append(contentsOf: buffer.readableBytesView)
      if bytes.count > Self.longest { end(context, "answers too much") }
    case .end:
      guard let json = try? JSON.parse(bytes) else { return end(context, "answers \(status), and no JSON") }
      answer.succeed(HostClient.Answer(status: status, json: json))
      context.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    end(context, "does not answer: \(error)")
  }

  // After an answer this does nothing.
  func channelInactive(context: ChannelHandlerContext) {
    end(context, "went away before it answered: look at what it did")
  }

  private func end(_ context: ChannelHandlerContext, _ text: String) {
    answer.fail(HostClientError(description: "the running host \(text)"))
    context.close(promise: nil)
  }
}

/// A running host could not be asked.
package struct HostClientError: Error, CustomStringConvertible {
  package let description: String
}
