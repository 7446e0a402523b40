import Hummingbird
import NIOCore

/// `GET /v1/ws`, and the module that talks with it.
struct WebSocketRoute: Sendable {
  let access: AccessControl
  let connections: Connections
  let make: MakeConversation

  var endpoints: [Endpoint] { [socket, module] }

  /// Anyone may see it: it says nothing of the host.
  private var module: Endpoint {
    Endpoint(
      method: .get, path: "/client.js", right: .open,
      summary: "A module for browsers and Node that talks with this host over a WebSocket.",
      about: EndpointText(answers: [(200, "An ECMAScript module.", ["text/javascript"])])
    ) { _, _ in
      Response(status: .ok, bytes: PackageResources.client_js, type: "text/javascript; charset=utf-8")
    }
  }

  private var socket: Endpoint {
    Endpoint(
      method: .get, path: WebSocketHandshake.path, right: .send,
      summary: "A WebSocket: messages in; acknowledgements, replies and what is subscribed to out.",
      about: EndpointText(
        parameters: [
          .init(
            name: "session", text: "Goes on with this session. With since.", schema: Schema.name),
          .init(
            name: "since", text: "The token of the last message that was seen, or 0.", schema: Schema.count),
          .init(
            name: "Upgrade", text: "websocket", isInHead: true, schema: ["const": "websocket"]),
          .init(
            name: "Sec-WebSocket-Protocol",
            text:
              "\(WebSocketHandshake.messages); a browser that has no cookie adds \(WebSocketHandshake.token)TOKEN.",
            isInHead: true),
        ],
        answers: [(101, "The connection is a WebSocket from now on.", [])],
        problems: [.badRequest, .badQuery, .forbidden, .foreignOrigin, .upgradeRequired]),
      handler: open)
  }

  /// Called when everything that is asked of every request has been: who asks is known, and may come in.
  private func open(_ request: Request, _ context: ServerContext) async throws -> Response {
    guard let channel = context.channel else { throw Problem(.notFound) }
    let upgrade = WebSocketUpgrade(
      handshake: try WebSocketHandshake(request.head), limits: access.limits,
      mayStay: { [access, caller = context.caller] in access.stillCounts(caller) },
      make: { [make] in try make(request, context) })
    if let outlet = try await upgrade.begin(on: channel) {
      connections.close(channel) { end in
        switch end {
        case .access: outlet.close(.policyViolation, "the token does not count any more")
        case .stop: outlet.close(.goingAway, "the host ends")
        }
      }
    }
    // The answer has been given. This one cannot be written any more, which ends what HTTP has to do with the connection.
    return Response(status: .switchingProtocols)
  }
}
