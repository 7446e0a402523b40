import HTTPTypes
import Hummingbird

/// `POST /v1/page` and `DELETE /v1/page`: a page of the host shows a token once and has a cookie from then on, which no
/// script reads and which no other site's page can use.
struct PageRoutes: Sendable {
  let access: AccessControl
  let isEncrypted: Bool

  /// Gives the cookie, or gives it anew. Who needs none, as nobody needs a token, gets none.
  func begin(_ request: Request, _ context: ServerContext) throws -> Response {
    var response = Response(status: .noContent)
    if let cookie = access.pageCookie(for: context.caller, asked(request, context)) {
      response.headers[.setCookie] = cookie
    } else if context.caller.token != nil {
      throw Refusal.unauthorized(.badCookie)
    }
    return response
  }

  /// Ends it. The token counts as before.
  func end(_ request: Request, _ context: ServerContext) -> Response {
    Response(
      status: .noContent, headers: [.setCookie: access.forgettingCookie(asked(request, context))])
  }

  private func asked(_ request: Request, _ context: ServerContext) -> AccessRequest {
    AccessRequest(
      request.head, peer: context.remoteAddress.flatMap { IPAddress($0) }, isEncrypted: isEncrypted)
  }
}
