import HTTPTypes
import Hummingbird
import NIOCore
import TriggerCore
import TriggerHost

/// `GET /v1/stores`, `GET /v1/stores/{store}` and `GET /v1/stores/{store}/{key}`.
struct StoreRoutes: Sendable {
  let reader: HostReader

  /// Bytes of values after which a page ends.
  private static let pageBytes = 1 << 20
  /// Keys of a page.
  static let keys: ClosedRange<Int64> = 1...1000

  /// As of when a request reads.
  private func place(_ query: Query) async throws -> Int64? {
    let seq = try query.integer("seq", in: 1 ... .max)
    let least = try query.integer("min_seq", in: 1 ... .max)
    if seq != nil, least != nil { throw Problem(.badQuery, "'seq' and 'min_seq' exclude each other") }
    try await reader.wait(for: least)
    return seq
  }

  /// `GET /v1/stores`
  func list(_ request: Request, _ context: ServerContext) async throws -> Response {
    let query = try request.query("seq", "min_seq")
    let json = try await reader.stores(at: try await place(query)) { cut -> Value in
      let stores = cut.stores.map { name, keys -> Value in
        ["name": .string(name), "keys": .int(Int64(keys))]
      }
      return ["seq": .int(cut.seq), "stores": .array(stores)]
    }
    return Response(status: .ok, json: json)
  }

  // MARK: Many keys

  private struct Page: Sendable {
    var seq: Int64
    var items: [Value] = []
    /// The last key, when there are more.
    var last: String?
  }

  /// `GET /v1/stores/{store}`
  func page(_ request: Request, _ context: ServerContext) async throws -> Response {
    let store = try request.segment(2)
    let query = try request.query("seq", "min_seq", "prefix", "after", "limit", "values")
    let limit = Int(try query.integer("limit", in: Self.keys) ?? 100)
    let hasValues = try query.word("values", ["true": true, "false": false]) ?? true
    let seq = try await place(query)
    let (prefix, after) = (query["prefix"] ?? "", query["after"] ?? "")
    let page = try await reader.stores(at: seq) { cut in
      try Self.require(store, cut)
      return Self.page(cut, store, prefix: prefix, after: after, limit: limit, hasValues: hasValues)
    }
    var fields: Value.Map = [
      "store": .string(store), "seq": .int(page.seq), "keys": .array(page.items),
    ]
    if let last = page.last {
      var link = "/v1/stores/\(Target.encoded(store))?"
      for name in ["prefix", "limit", "values", "seq"] {
        if let value = query[name] { link += "\(name)=\(Target.encoded(value))&" }
      }
      fields["next"] = .string(link + "after=\(Target.encoded(last))")
    }
    return Response(status: .ok, json: .map(fields))
  }

  private static func page(
    _ cut: StoreCut, _ store: String, prefix: String, after: String, limit: Int, hasValues: Bool
  ) -> Page {
    var (page, bytes, last) = (Page(seq: cut.seq), 0, "")
    cut.visit(store, prefix: prefix, after: after) { item in
      if page.items.count == limit || bytes > pageBytes {
        page.last = last
        return false
      }
      last = String(decoding: item.key, as: UTF8.self)
      var fields: Value.Map = ["key": .string(last), "version": .int(item.version)]
      if hasValues {
        bytes += item.value.count
        fields.add(Value(encoded: Array(item.value)), as: "value")
      }
      page.items.append(.map(fields))
      return true
    }
    return page
  }

  private static func require(_ store: String, _ cut: StoreCut) throws {
    if cut.has(store) { return }
    let hint = Suggestion.clause(for: store, among: cut.stores.map(\.name))
    throw Problem(.noStore, "no store is named '\(store.prefix(200))'\(hint)")
  }

  // MARK: One key

  /// `GET /v1/stores/{store}/{key}`
  func value(_ request: Request, _ context: ServerContext) async throws -> Response {
    let (store, key) = (try request.segment(2), try request.rest(after: 3))
    let query = try request.query("seq", "min_seq")
    let (item, seq) = try await reader.stores(at: try await place(query)) { cut in
      try Self.require(store, cut)
      return (cut.item(store, key), cut.seq)
    }
    guard let item else {
      throw Problem(.noKey, "store '\(store)' has no key '\(key.prefix(200))' as of seq \(seq)")
    }
    let tag = EntityTag(item.version)
    let headers: HTTPFields = [.eTag: tag.text, .cacheControl: "no-cache"]
    if tag.matches(request.headers[values: .ifNoneMatch]) {
      return Response(status: .notModified, headers: headers)
    }
    if case .bytes(let bytes) = item.value {
      return Response(status: .ok, headers: headers, bytes: bytes, type: "application/octet-stream")
    }
    do {
      return Response(
        status: .ok, headers: headers, bytes: try JSON.bytes(item.value), type: "application/json")
    } catch {
      throw Problem(
        .noJSONForm, "\(error.message); GET /v1/stores/\(Target.encoded(store)) shows it as text")
    }
  }
}

/// What says whether a value is still the same: the seq that wrote it (RFC 9110, section 8.8.3).
struct EntityTag {
  let text: String

  init(_ version: Int64) { text = "\"\(version)\"" }

  /// Whether `If-None-Match` names it (RFC 9110, section 13.1.2): weak tags count there.
  func matches(_ fields: [String]) -> Bool {
    fields.flatMap { $0.split(separator: ",") }.contains { item in
      let item = String(item).trimmingSpaces
      return item == "*" || item == text || item == "W/" + text
    }
  }
}
