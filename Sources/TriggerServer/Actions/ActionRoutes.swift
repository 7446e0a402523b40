import HostConfig
import HTTPTypes
import Hummingbird
import TriggerCore
import TriggerHost
import TriggerRuntime

/// What acts on the host: operations that failed for good are put back or let go, scripts go back to an older tree.
struct ActionRoutes: Sendable {
  let reader: HostReader
  let limits: ServerLimits

  // MARK: Operations that failed for good

  /// `POST /v1/dead/{seq}/requeue` and `.../drop`
  func settleOne(as action: DeadMark) -> Endpoint.Handler {
    { request, _ in
      let text = try request.segment(2)
      _ = try request.query()
      guard let seq = Int64(text), seq > 0 else {
        throw Problem(.notDead, "a seq is a whole number from 1, got '\(text.prefix(40))'")
      }
      return try await settle(.seqs([seq]), as: action)
    }
  }

  /// `POST /v1/dead/requeue` and `.../drop`
  func settleMany(as action: DeadMark) -> Endpoint.Handler {
    { request, _ in
      _ = try request.query()
      let body = try EventRoutes.json(try await request.collectJSON(upTo: limits.bodyBytes))
      return try await settle(try DeadSelection(json: body), as: action)
    }
  }

  private func settle(_ selection: DeadSelection, as action: DeadMark) async throws -> Response {
    let records = try await reader.replay { [host = reader.host] log in
      do { return try host.settle(selection, as: action, log) } catch let error as NotDead {
        throw Problem(.notDead, "\(error); GET /v1/dead lists them", fields: ["seq": .int(error.seq)])
      } catch LogFailure.closed {
        throw Problem(.stopping).retryAfter(5)
      } catch let error as LogFailure { throw Problem(.logFailed, "\(error)") }
    }
    return Response(
      status: .ok,
      json: ["action": .string(action.rawValue), "seqs": .array(records.map { .int($0.seq) })])
  }

  // MARK: Scripts

  /// `POST /v1/scripts/{tree}/rollback`
  func rollback(_ request: Request, _ context: ServerContext) async throws -> Response {
    let text = try request.segment(2)
    let isForced = try request.query("force").word("force", ["true": true, "false": false]) ?? false
    guard let number = Int(text) else { throw noTree(text) }
    let host = reader.host
    let rollback = try await reader.replay { log in
      let rollback = try host.rollback(to: number, log)
      if let rollback { try Self.make(rollback, isForced: isForced) }
      return rollback
    }
    guard let rollback else { throw noTree(text) }
    host.takeUpScripts()
    return Response(status: .ok, json: rollback.json)
  }

  private func noTree(_ text: String) -> Problem {
    Problem(.noTree, "no script tree has the number '\(text.prefix(40))'; GET /v1/scripts lists them")
  }

  private static func make(_ rollback: ScriptRollback, isForced: Bool) throws {
    if let problem = rollback.report.errors.first { throw Problem(.storage, "\(problem)") }
    guard isForced || rollback.edited.isEmpty else {
      throw Problem(
        .scriptsEdited, "nothing was changed; force=true overwrites them",
        fields: [
          "directory": .string(rollback.directory), "files": .array(rollback.edited.map { .string($0) }),
        ])
    }
    do { try rollback.make() } catch { throw Problem(.storage, "\(error)") }
  }
}

extension DeadSelection {
  /// `{"seqs": [17, 18]}`, `{"all": true}` or `{"all": true, "trigger": "rsi"}`.
  ///
  /// - Throws: `Problem`, `bad_body`.
  init(json: Value) throws {
    guard case .map(let fields) = json else { throw Self.problem("a JSON object is expected") }
    if let other = fields.first(where: { !["seqs", "all", "trigger"].contains($0.key) }) {
      throw Self.problem("unknown member '\(other.key)'")
    }
    switch (fields["seqs"], fields["all"], fields["trigger"]) {
    case (.array(let items)?, nil, nil) where !items.isEmpty:
      self = .seqs(
        Set(
          try items.map { item in
            guard let seq = Self.seq(item) else { throw Self.problem("a seq is a whole number from 1") }
            return seq
          }))
    case (nil, .bool(true)?, nil): self = .all(trigger: nil)
    case (nil, .bool(true)?, .string(let trigger)?): self = .all(trigger: trigger)
    default: throw Self.problem("it has seqs, or all")
    }
  }

  /// `17.0` is the same number in JSON.
  private static func seq(_ value: Value) -> Int64? {
    let seq: Int64? =
      switch value {
      case .int(let number): number
      case .double(let number): Int64(exactly: number)
      default: nil
      }
    return seq.flatMap { $0 > 0 ? $0 : nil }
  }

  /// What `init(json:)` takes.
  package var json: Value {
    switch self {
    case .seqs(let seqs): ["seqs": .array(seqs.sorted().map { .int($0) })]
    case .all(nil): ["all": true]
    case .all(let trigger?): ["all": true, "trigger": .string(trigger)]
    }
  }

  private static func problem(_ text: String) -> Problem {
    Problem(.badBody, #"\#(text); {"seqs": [17]}, {"all": true} or {"all": true, "trigger": "rsi"}"#)
  }
}

extension ScriptRollback {
  fileprivate var json: Value {
    [
      "tree": .int(Int64(tree.number)), "directory": .string(directory),
      "written": .array(written.keys.sorted().map { .string($0) }),
      "removed": .array(removed.map { .string($0) }),
    ]
  }
}
