import HTTPTypes
import Hummingbird
import TriggerCore

/// Why a request was refused, as every refusal of a `HostServer` says it: a problem document (RFC 9457).
///
///     HTTP/1.1 400 Bad Request
///     Content-Type: application/problem+json
///
///     {"code":"bad_query","detail":"'wait' is accepted or committed, got 'no'","status":400,
///      "title":"A parameter of the query is wrong","type":"/problems/bad-query"}
///
/// Programs compare `code` or `type`, which never change; `title` and `detail` are for people. A route of an embedder's
/// may throw one.
public struct Problem: Error, Sendable, CustomStringConvertible {
  /// What was wrong, for programs.
  public let code: Code
  /// The status of the answer: the code's, unless `init(status:)` made it.
  public let status: HTTPResponse.Status
  /// What was wrong with this request, and what would be right; nil when the title says all.
  public var detail: String?
  /// Members beside the standard ones.
  public var fields: Value.Map
  /// Fields of the answer's head, like `Allow` or `Retry-After`.
  public var headers: HTTPFields

  /// Any text goes with any code.
  public init(
    _ code: Code, _ detail: String? = nil, fields: Value.Map = [:], headers: HTTPFields = HTTPFields()
  ) {
    self.code = code
    self.detail = detail
    self.fields = fields
    self.headers = headers
    status = code.status
  }

  /// A refusal by a status alone, of a route or middleware that knows no codes: `refused`.
  public init(status: HTTPResponse.Status, _ detail: String?, headers: HTTPFields = HTTPFields()) {
    code = .refused
    self.status = status
    self.detail = detail
    self.headers = headers
    fields = [:]
  }

  /// The document; each call makes it anew.
  public var document: Value {
    var document = fields
    document["type"] = .string(code.type)
    document["code"] = .string(code.rawValue)
    document["title"] = .string(code.title)
    document["status"] = .int(Int64(status.code))
    if let detail { document["detail"] = .string(detail) }
    return .map(document)
  }

  /// The answer.
  public var response: Response {
    Response(status: status, headers: headers, json: document, type: Self.mediaType)
  }

  /// The media type of problem documents (RFC 9457, section 3).
  public static let mediaType = "application/problem+json"

  /// `bad_query: 'wait' is accepted or committed, got 'no'`.
  public var description: String { "\(code.rawValue): \(detail ?? code.title)" }
}

extension Problem {
  /// Why a request was refused: one word, for programs. The word never changes.
  public enum Code: String, CaseIterable, Sendable {
    /// The message breaks the rules of HTTP, or its path or a field of its head cannot be read.
    case badRequest = "bad_request"
    /// A parameter after the `?` is unknown, or has no such value.
    case badQuery = "bad_query"
    /// The body is no JSON, or JSON that no event can be.
    case badJSON = "bad_json"
    /// The body is JSON, and no event.
    case badEvent = "bad_event"
    /// The body is JSON, and not what this path takes.
    case badBody = "bad_body"
    /// Who asks is not known.
    case unauthorized
    /// Who asks may not do this.
    case forbidden
    /// A page of another site asks.
    case foreignOrigin = "foreign_origin"
    /// A proxy asks, and the host has no token: it would take everybody for its owner.
    case proxied
    /// Nothing has this path.
    case notFound = "not_found"
    /// The path is there, with other methods.
    case methodNotAllowed = "method_not_allowed"
    /// The request did not come in time.
    case requestTimeout = "request_timeout"
    /// The body is too large.
    case tooLarge = "too_large"
    /// The body is of a type that is not taken here.
    case unsupportedMediaType = "unsupported_media_type"
    /// The `Host` is not this server's.
    case misdirected
    /// The path is one of WebSockets, and the request asks for none, or for one of another version.
    case upgradeRequired = "upgrade_required"
    /// The idempotency key came with another event.
    case keyReused = "key_reused"
    /// Who asks has asked too often.
    case tooManyRequests = "too_many_requests"
    /// The head of the request is too large.
    case headersTooLarge = "headers_too_large"
    /// A defect of the server.
    case `internal`
    /// The queue has no room, and the configuration says to refuse (`queue.when_full`).
    case queueFull = "queue_full"
    /// As many idempotency keys are known as may be (`limits.keys`).
    case keysFull = "keys_full"
    /// The disk could not be read.
    case storage
    /// The host ends.
    case stopping
    /// The log can take nothing more.
    case logFailed = "log_failed"
    /// Something of the host is not in order.
    case notReady = "not_ready"
    /// The seq is not there yet.
    case seqAhead = "seq_ahead"
    /// No store has this name.
    case noStore = "no_store"
    /// Nothing is at this key.
    case noKey = "no_key"
    /// No operation has had this seq.
    case noSeq = "no_seq"
    /// No script tree has this number.
    case noTree = "no_tree"
    /// The operation is not among those that failed for good.
    case notDead = "not_dead"
    /// Files of the scripts directory were edited, and are in no script tree.
    case scriptsEdited = "scripts_edited"
    /// The host keeps no log that can be read.
    case noLog = "no_log"
    /// The value is a NaN, an infinity, or has byte strings in it.
    case noJSONForm = "no_json_form"
    /// What is asked for was let go (`log.retain`).
    case seqGone = "seq_gone"
    /// The seq has not come within the time that a request waits.
    case notYet = "not_yet"
    /// Too many requests that take long wait already.
    case busy
    /// A route or middleware of the program around the server refused.
    case refused

    /// A relative reference, the same wherever the server is: `/problems/bad-query`.
    public var type: String { "/problems/" + rawValue.replacing("_", with: "-") }

    /// The status that goes with it.
    public var status: HTTPResponse.Status {
      switch self {
      case .badRequest, .badQuery, .badJSON, .badEvent, .badBody, .seqAhead, .refused: .badRequest
      case .unauthorized: .unauthorized
      case .forbidden, .foreignOrigin, .proxied: .forbidden
      case .notFound, .noStore, .noKey, .noSeq, .noTree, .notDead, .noLog: .notFound
      case .noJSONForm: .notAcceptable
      case .scriptsEdited: .conflict
      case .seqGone: .gone
      case .methodNotAllowed: .methodNotAllowed
      case .requestTimeout: .requestTimeout
      case .tooLarge: .contentTooLarge
      case .unsupportedMediaType: .unsupportedMediaType
      case .misdirected: .misdirectedRequest
      case .upgradeRequired: .upgradeRequired
      case .keyReused: .unprocessableContent
      case .tooManyRequests: .tooManyRequests
      case .headersTooLarge: .requestHeaderFieldsTooLarge
      case .internal: .internalServerError
      case .queueFull, .keysFull, .storage, .stopping, .logFailed, .notReady, .notYet, .busy:
        .serviceUnavailable
      }
    }

    /// What it means, in a sentence for people.
    public var title: String {
      switch self {
      case .badRequest: "The request cannot be read"
      case .badQuery: "A parameter of the query is wrong"
      case .badJSON: "The body is not good JSON"
      case .badEvent: "The body is no event"
      case .badBody: "The body is not what this path takes"
      case .unauthorized: "Say who you are"
      case .forbidden: "You may not do this"
      case .foreignOrigin: "A page of another site may not do this"
      case .proxied: "A proxy asks, and there is no token"
      case .notFound: "There is nothing at this path"
      case .methodNotAllowed: "The path does not have this method"
      case .requestTimeout: "The request did not come in time"
      case .tooLarge: "The body is too large"
      case .unsupportedMediaType: "The body is of a type that is not taken here"
      case .misdirected: "The request is for another host"
      case .upgradeRequired: "A WebSocket is at this path"
      case .keyReused: "The idempotency key came with another event"
      case .tooManyRequests: "Too many requests"
      case .headersTooLarge: "The head of the request is too large"
      case .internal: "The server has a defect"
      case .queueFull: "The queue is full"
      case .keysFull: "Too many idempotency keys are known"
      case .storage: "The disk could not be read"
      case .stopping: "The host ends"
      case .logFailed: "The log cannot be written"
      case .notReady: "The host is not ready"
      case .seqAhead: "The seq is not there yet"
      case .noStore: "There is no such store"
      case .noKey: "Nothing is at this key"
      case .noSeq: "There is no such seq"
      case .noTree: "There is no such script tree"
      case .notDead: "The operation is not among those that failed for good"
      case .scriptsEdited: "Files were edited that are in no script tree"
      case .noLog: "There is no log to read"
      case .noJSONForm: "The value has no JSON form"
      case .seqGone: "This is not kept any more"
      case .notYet: "The seq has not come in time"
      case .busy: "Too many requests of this kind wait"
      case .refused: "The request was refused"
      }
    }
  }
}

extension Problem {
  /// How long a sender does well to wait before it tries again, in whole seconds (RFC 9110, section 10.2.3).
  func retryAfter(_ seconds: Int) -> Problem {
    var problem = self
    problem.headers[.retryAfter] = "\(seconds)"
    return problem
  }
}
