import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1

extension ChannelPipeline.SynchronousOperations {
  /// HTTP/1.1 as Hummingbird sets it up, with what guards a connection; and what comes behind a request for another
  /// protocol is kept for that protocol.
  func addHTTP(_ access: AccessControl, _ connections: Connections, _ logger: Logger) throws {
    let limits = access.limits
    var decoding = NIOHTTPDecoderLimitConfiguration()
    decoding.maxHeaderFieldSize = limits.headerBytes
    decoding.maxHeaderListSize = limits.headerBytes
    decoding.maxHeaderFieldCount = limits.headerFields
    try addHandlers([
      HTTPResponseEncoder(),
      ByteToMessageHandler(
        HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: decoding)),
      HTTP1ToHTTPServerCodec(secure: false),
      ConnectionGuard(access, connections),
      HTTPConnectionStateHandler(logger: logger),
    ])
  }
}
