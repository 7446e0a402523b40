import Hummingbird
import TriggerCore
import TriggerHost
import TriggerRuntime

/// `GET /v1/schedules`, `GET /v1/scripts`, `GET /v1/scripts/{tree}` and `GET /v1/dead`.
struct ListRoutes: Sendable {
  let reader: HostReader

  /// `GET /v1/schedules`
  func schedules(_ request: Request, _ context: ServerContext) throws -> Response {
    _ = try request.query()
    let scheduler = reader.host.scheduler
    let jobs = scheduler.jobs.sorted { $0.name < $1.name }.map { job -> Value in
      var fields: Value.Map = ["name": .string(job.name), "rule": .string("\(job.rule)")]
      switch job.action {
      case .trigger(let name): fields["trigger"] = .string(name)
      case .event(let name): fields["event"] = .string(name)
      }
      if let next = scheduler.nextFire(of: job.name) { fields["next"] = .string("\(next)") }
      return .map(fields)
    }
    return Response(status: .ok, json: ["schedules": .array(jobs)])
  }

  /// `GET /v1/scripts`
  func scripts(_ request: Request, _ context: ServerContext) async throws -> Response {
    _ = try request.query()
    let trees = try await reader.read { try $0.scriptTrees().map(\.json) }
    return Response(status: .ok, json: ["trees": .array(trees)])
  }

  /// `GET /v1/scripts/{tree}`: files as text; one that is not UTF-8 is left out and counted by its size alone.
  func tree(_ request: Request, _ context: ServerContext) async throws -> Response {
    let text = try request.segment(2)
    _ = try request.query()
    guard let number = Int(text), let (identity, files) = try await reader.read({ try $0.tree(number) })
    else {
      throw Problem(.noTree, "no script tree has the number '\(text.prefix(40))'; GET /v1/scripts lists them")
    }
    let contents = files.sorted { $0.key < $1.key }.map { path, bytes -> Value in
      var fields: Value.Map = ["path": .string(path), "bytes": .int(Int64(bytes.count))]
      if let text = String(validating: bytes, as: UTF8.self) { fields["text"] = .string(text) }
      return .map(fields)
    }
    return Response(
      status: .ok,
      json: [
        "tree": .int(Int64(identity.number)), "time": .string("\(Timestamp(nanoseconds: identity.time))"),
        "files": .array(contents),
      ])
  }

  /// `GET /v1/dead`: oldest first.
  func dead(_ request: Request, _ context: ServerContext) async throws -> Response {
    let query = try request.query("after", "limit", "trigger")
    let limit = Int(try query.integer("limit", in: ExecutionRoutes.limit) ?? 100)
    let after = try query.integer("after", in: 0 ... .max) ?? 0
    let trigger = query["trigger"]
    // It reads all that came since the newest checkpoint.
    let records = try await reader.replay { log in
      let letters = DeadLetters(log)
      var found: [LogRecord] = []
      for seq in try letters.seqs() where seq > after && found.count <= limit {
        if let record = try letters.record(seq), trigger == nil || record.trigger == trigger {
          found.append(record)
        }
      }
      return found
    }
    var fields: Value.Map = ["dead": .array(records.prefix(limit).map(\.json))]
    if records.count > limit {
      var link = "/v1/dead?limit=\(limit)&"
      if let trigger { link += "trigger=\(Target.encoded(trigger))&" }
      fields["next"] = .string(link + "after=\(records[limit - 1].seq)")
    }
    return Response(status: .ok, json: .map(fields))
  }
}

extension KeptScriptTree {
  /// `tree`, `seq`, `time`, `changed`, `removed`.
  package var json: Value {
    [
      "tree": .int(Int64(identity.number)), "seq": seq.map { .int($0) } ?? .null,
      "time": .string("\(Timestamp(nanoseconds: identity.time))"),
      "changed": .array(changed.map { .string($0) }), "removed": .array(removed.map { .string($0) }),
    ]
  }
}
