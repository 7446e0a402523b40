import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import TriggerHost

/// Answers every request: looks at who asks and whether they may, hands it to the routes, and makes a problem document of
/// whatever goes wrong.
struct ServerResponder: HTTPResponder {
  typealias Context = ServerContext

  let routes: RouterResponder<ServerContext>
  let access: AccessControl
  let isEncrypted: Bool
  let endpoints: EndpointTable
  let connections: Connections

  func respond(to request: Request, context: ServerContext) async throws -> Response {
    access.noteRequest()
    let asked = AccessRequest(
      request.head, peer: context.remoteAddress.flatMap { IPAddress($0) }, isEncrypted: isEncrypted
    ).asWebSocket(request.head)
    var response: Response
    do { response = try await answer(request, asked, context) } catch let error as HTTPParserError {
      // The connection gives the answer, and is closed.
      throw error
    } catch {
      let problem = Self.problem(with: error, context.logger)
      access.note(refused: problem.code)
      response = problem.response
    }
    // What is JSON is not to be taken for anything else, and is of this moment.
    response.headers[.xContentTypeOptions] = "nosniff"
    if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
    response.headers.append(contentsOf: access.cors.fields(for: asked))
    return response
  }

  private func answer(
    _ request: Request, _ asked: AccessRequest, _ context: ServerContext
  ) async throws -> Response {
    if access.rule == .owner { try await access.admitOwner(on: context.channel) }
    if let fields = access.cors.preflight(asked) {
      return Response(status: .noContent, headers: fields)
    }
    let path = request.uri.path
    let endpoint = endpoints.find(request.method, path)
    var context = context
    if isOpen(endpoint, path) {
      try access.admitAnybody(asked)
    } else {
      context.caller = try access.admit(asked)
      try note(context.caller, context)
    }
    guard let endpoint else {
      return try await aside { try await routes.respond(to: request, context: context) }
    }
    switch endpoint.right {
    case .read: try access.check(context.caller, may: .read)
    case .act: try access.check(context.caller, may: .act)
    case .open, .send: break
    }
    if endpoint.isBrief { return try await endpoint.handler(request, context) }
    return try await aside { try await endpoint.handler(request, context) }
  }

  /// What may take long does not hold up the connections that have the same event loop.
  private func aside(_ body: () async throws -> Response) async throws -> Response {
    try await withTaskExecutorPreference(globalConcurrentExecutor, operation: body)
  }

  /// Whether anyone may ask, without a word about who they are: for the health of the host.
  private func isOpen(_ endpoint: Endpoint?, _ path: String) -> Bool {
    func isOpen(_ endpoint: Endpoint) -> Bool {
      if case .open = endpoint.right { true } else { false }
    }
    return endpoint.map(isOpen) ?? endpoints.those(at: path).contains(where: isOpen)
  }

  /// A caller that is not let in any more has no request under way.
  private func note(_ caller: Caller, _ context: ServerContext) throws {
    guard let channel = context.channel, connections.note(caller, on: channel) else { return }
    // Who is told of a token that was taken back closes what is noted, and it was not until now.
    if !access.stillCounts(caller) { throw Refusal.unauthorized(.revokedToken) }
    closeAtEnd(of: caller, channel)
  }

  private func closeAtEnd(of caller: Caller, _ channel: any Channel) {
    guard let time = access.timeLeft(of: caller) else { return }
    channel.eventLoop.scheduleTask(in: TimeAmount(time)) { [access, connections] in
      connections.closeThose(on: channel) { !access.stillCounts($0) }
    }
  }

  private static func problem(with error: any Error, _ logger: Logger) -> Problem {
    switch error {
    case let problem as Problem: return problem
    case let refusal as Refusal: return Problem(refusal)
    case let error as any HTTPResponseError: return Problem(status: error.status, nil)
    case is CancellationError, is QueueStopped: return Problem(.stopping).retryAfter(5)
    case let error as QueueFailed: return Problem(.logFailed, "\(error)")
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
  let endpoints: EndpointTable

  func handle(
    _ request: Request, context: ServerContext,
    next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    do { return try await next(request, context) } catch let error as HTTPError {
      if error.status == .notFound, context.endpointPath == "NotFound" { throw notFound(request) }
      throw Problem(status: error.status, error.body, headers: error.headers)
    }
  }

  /// RFC 9110, section 15.5.6: which methods the path has, when it has others.
  private func notFound(_ request: Request) -> Problem {
    let path = request.uri.path
    var methods = endpoints.those(at: path).map(\.method.rawValue)
    if methods.isEmpty { return Problem(.notFound, "GET / says what there is") }
    if methods.contains("GET") { methods.append("HEAD") }
    let allowed = methods.joined(separator: ", ")
    return Problem(
      .methodNotAllowed, "\(request.method.rawValue) is not among \(allowed)",
      headers: [.allow: allowed])
  }
}
