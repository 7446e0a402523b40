import HostConfig
import TriggerCore

/// The two files that hold a host's tokens, in the directory `access` of its data directory, or beside its `host.yaml`
/// when it keeps nothing on disk.
///
/// `tokens.json` says which tokens there are; commands write it. `used.json` says when each was used last; the host writes
/// it. So no write of one undoes a write of the other. Any thread; calls block for the time that the disk takes.
public struct TokenFiles: Sendable, Hashable {
  private let directory: AccessDirectory
  static let tokensName = "tokens.json"
  static let usesName = "used.json"

  /// - Parameter parent: the data directory, or the one with `host.yaml`. Nothing is made until something is written.
  public init(in parent: String) {
    directory = AccessDirectory(path: parent.hasSuffix("/") ? "\(parent)access" : "\(parent)/access")
  }

  /// The files of a host with this configuration.
  ///
  /// - Parameter data: the data directory that wins over the configuration's.
  package init(of config: HostConfig, data: String? = nil) {
    let beside = config.file.lastIndex(of: "/").map { config.file[...$0] } ?? "."
    self.init(in: data ?? config.data?.resolved ?? String(beside))
  }

  /// Where the files are.
  public var path: String { directory.path }

  /// Makes a token, on disk when this returns.
  ///
  /// - Parameter name: what its owner calls it: at most 128 bytes without control characters.
  /// - Parameter expires: from then on it permits nothing.
  /// - Returns: what is known of it, and its text, which nobody can see again.
  /// - Throws: `AccessError` when the name is not good, no scope is given, or the file cannot be read or written.
  public func create(
    name: String? = nil, scopes: [Scope], expires: Timestamp? = nil, now: Timestamp
  ) throws(AccessError) -> (token: Token, text: String) {
    if let name { try Self.check(name: name) }
    if scopes.isEmpty {
      throw AccessError("a token needs a scope: read, events:NAME, events:PREFIX* or admin")
    }
    if let expires, expires <= now {
      throw AccessError("the token would be expired from the start (\(expires))")
    }
    return try change { table in
      let (token, text) = table.create(name: name, scopes: scopes, expires: expires, now: now)
      return (token, text.text)
    }
  }

  /// Takes a token back for good, on disk when this returns. A running host knows within a moment. A second time changes
  /// nothing.
  ///
  /// - Throws: `AccessError` when no token has this id, or the file cannot be read or written.
  public func revoke(_ id: TokenID, now: Timestamp) throws(AccessError) -> Token {
    try change { table throws(AccessError) in try table.revoke(id, now: now) }
  }

  /// All tokens in the order in which they were made, each with the time of its last use, to the minute; nil when none is
  /// known.
  ///
  /// - Throws: `AccessError` when a file cannot be read.
  public func list() throws(AccessError) -> [(token: Token, used: Timestamp?)] {
    let uses = try readUses()
    return try readTable().sorted.map { ($0, uses[$0.id]) }
  }

  // MARK: For the host

  func readTable() throws(AccessError) -> TokenTable {
    guard let bytes = try directory.read(Self.tokensName) else { return TokenTable() }
    do throws(AccessError) { return try TokenTable(json: bytes) } catch {
      throw AccessError("\(path)/\(Self.tokensName): \(error)")
    }
  }

  /// Nothing rests on these times: what cannot be understood counts as not known.
  func readUses() throws(AccessError) -> [TokenID: Timestamp] {
    guard let bytes = try directory.read(Self.usesName), let file = try? JSON.parse(bytes, depth: 8) else {
      return [:]
    }
    var uses: [TokenID: Timestamp] = [:]
    for (key, value) in file["used"]?.mapValue ?? [:] {
      guard let id = TokenID(key), let text = value.stringValue, let time = try? Timestamp(parsing: text)
      else { continue }
      uses[id] = time
    }
    return uses
  }

  func write(uses: [TokenID: Timestamp]) throws(AccessError) {
    var used: Value.Map = [:]
    for (id, time) in uses { used[id.description] = .string("\(time)") }
    // Strings and nothing else: every such value has a JSON form.
    // Texts and numbers of our own: nothing that JSON cannot say.
    let text = try! JSON.bytes(.map(["format": 1, "used": .map(used)]), style: .pretty)
    try directory.write(text + [UInt8(ascii: "\n")], as: Self.usesName)
  }

  private func change<Result>(
    _ body: (inout TokenTable) throws(AccessError) -> Result
  ) throws(AccessError) -> Result {
    try directory.exclusively { () throws(AccessError) in
      var table = try readTable()
      let result = try body(&table)
      try directory.write(table.json, as: Self.tokensName)
      return result
    }
  }

  private static func check(name: String) throws(AccessError) {
    let isGood = name.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
    guard isGood, !name.isEmpty, name.utf8.count <= 128 else {
      throw AccessError("the name of a token has 1 to 128 bytes and no control characters")
    }
  }
}
