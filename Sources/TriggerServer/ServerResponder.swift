import HTTPTypes
import Hummingbird
import Logging
import NIOHTTP1
import TriggerHost

/// Answers every request: looks at who asks and whether they may, hands it to the routes, and makes a problem document of
/// whatever goes wrong.
struct ServerResponder: HTTPResponder {
  typealias Context = ServerContext

  let routes: RouterResponder<ServerContext>
  let access: AccessControl
  let isEncrypted: Bool
  let endpoints: [Endpoint]

  func respond(to request: Request, context: ServerContext) async throws -> Response {
    // A connection whose next request is there already would never let go of its thread: as many of these as there are
    // cores would hold up all others.
    await Task.yield()
    var response: Response
    do { response = try await answer(request, context) } catch let error as HTTPParserError {
      // The connection gives the answer, and is closed.
      throw error
    } catch { response = Self.problem(with: error, context.logger).response }
    // What is JSON is not to be taken for anything else, and is of this moment.
    response.headers[.xContentTypeOptions] = "nosniff"
    if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
    response.headers.append(contentsOf: access.cors.fields(for: asked(request, context)))
    return response
  }

  private func asked(_ request: Request, _ context: ServerContext) -> AccessRequest {
    AccessRequest(
      request.head, peer: context.remoteAddress.flatMap { IPAddress($0) }, isEncrypted: isEncrypted
    ).asWebSocket(request.head)
  }

  private func answer(_ request: Request, _ context: ServerContext) async throws -> Response {
    let asked = asked(request, context)
    if let fields = access.cors.preflight(asked) { return Response(status: .noContent, headers: fields) }
    var context = context
    if isOpen(request) { try access.admitAnybody(asked) } else { context.caller = try access.admit(asked) }
    return try await routes.respond(to: request, context: context)
  }

  /// Whether anyone may ask, without a word about who they are: for the health of the host.
  private func isOpen(_ request: Request) -> Bool {
    let path = request.uri.path
    return endpoints.contains { if case .open = $0.right { $0.matches(path) } else { false } }
  }

  private static func problem(with error: any Error, _ logger: Logger) -> Problem {
    switch error {
    case let problem as Problem: return problem
    case let refusal as Refusal: return Problem(refusal)
    case let error as any HTTPResponseError: return Problem(status: error.status, nil)
    case is CancellationError, is QueueStopped: return Problem(.stopping).retryAfter(5)
    case let error as LogFailed: return Problem(.logFailed, "\(error)")
    case let error as QueueFull: return Problem(.queueFull, "\(error)").retryAfter(1)
    default:
      logger.error("A request could not be answered: \(error)")
      return Problem(.internal)
    }
  }
}

/// Makes problem documents of what Hummingbird and routes of an embedder's refuse by a status. The first of all
/// middleware, so that it sees what the others throw.
struct ProblemMiddleware: RouterMiddleware {
  typealias Context = ServerContext
  let endpoints: [Endpoint]

  func handle(
    _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    do { return try await next(request, context) } catch let error as HTTPError {
      if error.status == .notFound, context.endpointPath == "NotFound" { throw notFound(request) }
      throw Problem(status: error.status, error.body, headers: error.headers)
    }
  }

  /// RFC 9110, section 15.5.6: which methods the path has, when it has others.
  private func notFound(_ request: Request) -> Problem {
    let path = request.uri.path
    var methods = endpoints.filter { $0.matches(path) }.map(\.method.rawValue)
    if methods.isEmpty { return Problem(.notFound, "GET / says what there is") }
    if methods.contains("GET") { methods.append("HEAD") }
    let allowed = methods.joined(separator: ", ")
    return Problem(
      .methodNotAllowed, "\(request.method.rawValue) is not among \(allowed)", headers: [.allow: allowed])
  }
}
