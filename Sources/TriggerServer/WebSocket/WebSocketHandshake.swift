import Foundation
import HTTPTypes

/// What a request asks that wants to become a WebSocket (RFC 6455, section 4.2.1), and what of it is agreed.
struct WebSocketHandshake {
  /// The subprotocol of messages between host and client.
  static let messages = "trigger-host.v1"
  /// What stands before a token that is offered as a subprotocol: a browser lets a page set no other field.
  static let token = "trigger-host.token."
  static let path = "/v1/ws"

  /// What the answer names, when the client offered any.
  let subprotocol: String?
  let key: String

  /// - Throws: `Problem`: `upgrade_required` when it is no handshake or one of another version, `bad_request` when it is a
  ///   broken one.
  init(_ head: HTTPRequest) throws(Problem) {
    guard head.method == .get, Self.isAsked(by: head) else {
      throw Self.needed("here is a WebSocket: ask with `Upgrade: websocket`")
    }
    guard head.headerFields.tokens(.connection).contains(where: { $0.lowercased() == "upgrade" }) else {
      throw Problem(.badRequest, "the Connection field does not name Upgrade")
    }
    guard head.headerFields[.contentLength] ?? "0" == "0", head.headerFields[.transferEncoding] == nil else {
      throw Problem(.badRequest, "the handshake of a WebSocket has no body")
    }
    let versions = head.headerFields[values: .secWebSocketVersion]
    guard versions.count == 1 else { throw Problem(.badRequest, "Sec-WebSocket-Version must be there once") }
    guard versions[0] == "13" else { throw Self.needed("the version is 13, got '\(versions[0].prefix(40))'") }
    let keys = head.headerFields[values: .secWebSocketKey]
    guard keys.count == 1, keys[0].utf8.count == 24, Data(base64Encoded: keys[0])?.count == 16 else {
      throw Problem(.badRequest, "Sec-WebSocket-Key must be there once, with 16 bytes in base64")
    }
    key = keys[0]
    subprotocol = try Self.agreed(head.headerFields.tokens(.secWebSocketProtocol))
  }

  /// Whether a request wants to become a WebSocket, well or badly.
  static func isAsked(by head: HTTPRequest) -> Bool {
    head.headerFields.tokens(.upgrade).contains { $0.lowercased() == "websocket" }
  }

  /// A client that offers subprotocols and gets none closes at once: browsers must (WHATWG WebSockets, "establish a
  /// WebSocket connection"). So it is told here what it should have offered. A client that offers none speaks it, too.
  private static func agreed(_ offered: [Substring]) throws(Problem) -> String? {
    if offered.isEmpty { return nil }
    if offered.contains(messages[...]) { return messages }
    throw Problem(.badRequest, "Sec-WebSocket-Protocol does not offer \(messages)")
  }

  private static func needed(_ detail: String) -> Problem {
    // RFC 9110, section 15.5.22, and RFC 6455, section 4.4.
    Problem(
      .upgradeRequired, detail,
      headers: [.upgrade: "websocket", .connection: "Upgrade", .secWebSocketVersion: "13"])
  }
}

extension AccessRequest {
  /// The same, with what only the handshake of a WebSocket says of who asks: a token among the subprotocols counts like
  /// one in `Authorization`, when that is not there.
  func asWebSocket(_ head: HTTPRequest) -> AccessRequest {
    guard WebSocketHandshake.isAsked(by: head) else { return self }
    var request = self
    request.isWebSocket = true
    if fields.contains(.authorization) { return request }
    for offer in fields.tokens(.secWebSocketProtocol) where offer.hasPrefix(WebSocketHandshake.token) {
      request.fields.append(
        HTTPField(name: .authorization, value: "Bearer \(offer.dropFirst(WebSocketHandshake.token.count))"))
    }
    return request
  }
}

extension HTTPFields {
  /// The members of a field that is a list (RFC 9110, section 5.6.1).
  fileprivate func tokens(_ name: HTTPField.Name) -> [Substring] {
    self[values: name].flatMap { $0.split(separator: ",") }.compactMap { part in
      let token = part.drop { $0 == " " || $0 == "\t" }
      let end = token.lastIndex { $0 != " " && $0 != "\t" }
      return end.map { token[...$0] }
    }
  }
}
