import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1

extension ChannelPipeline.SynchronousOperations {
  /// HTTP/1.1 as Hummingbird sets it up, with what guards a connection; and what comes behind a request for another
  /// protocol is kept for that protocol.
  func addHTTP(_ limits: ServerLimits, _ connections: Connections, _ logger: Logger) throws {
    var decoding = NIOHTTPDecoderLimitConfiguration()
    decoding.maxHeaderFieldSize = limits.headerBytes
    decoding.maxHeaderListSize = limits.headerBytes
    decoding.maxHeaderFieldCount = limits.headerFields
    try addHandlers([
      HTTPResponseEncoder(),
      ByteToMessageHandler(
        HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: decoding)),
      HTTP1ToHTTPServerCodec(secure: false),
      ConnectionGuard(limits, connections),
      HTTPConnectionStateHandler(logger: logger),
    ])
  }
}
