import ArgumentParser
import HostConfig
import TriggerCore
import TriggerHost
import TriggerServer

/// `trigger-host token create|list|revoke`.
struct TokenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token",
    abstract: "Say who may do what over the network: make, list and revoke tokens.",
    discussion: """
      A token is a secret text. Whoever sends it with a request (Authorization: Bearer TOKEN) may do what its scopes \
      permit:

        read              look at stores, executions, statistics and the log
        events:NAME       send events of this name; events:bars/* those that begin with bars/
        admin             everything

      A host that others can reach starts only when there is a token. On 127.0.0.1 everybody on this machine may do \
      everything until the first token is made. A running host knows of each change within a moment.

        trigger-host token create --scope events:bars/* --scope read --name feed --expires 90d
        trigger-host token list
        trigger-host token revoke 3v9kq0rm

      Tokens are in access/tokens.json in the data directory, as hashes; when the host keeps nothing on disk, beside \
      host.yaml.
      """,
    subcommands: [Create.self, List.self, Revoke.self])

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a token and print it, once.",
      discussion: """
        Standard output has the token and nothing else. Nobody can see it again: the host keeps its hash.

          TOKEN=$(trigger-host token create --scope read --name dashboard)
          curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/v1/stores
        """)

    @Option(
      name: .long, parsing: .singleValue,
      help: "read, events:NAME, events:PREFIX* or admin. Once for each.",
      completion: .list(["read", "events:", "events:*", "admin"]), transform: { try Scope(parsing: $0) })
    var scope: [Scope]
    @Option(help: "What to call it in lists and logs. Default: its id.") var name: String?
    @Option(
      help: "After which span (30d, 12h), or at which time, it counts no more. Default: never.",
      transform: { try Expiry($0) })
    var expires: Expiry?
    @OptionGroup var place: TokenPlace
    @Flag(help: "Print one JSON object with the token and what is known of it.") var json = false

    func run() throws {
      let now = Timestamp(nanoseconds: SystemClock().now())
      let files = try place.files()
      let (token, text) = try files.create(
        name: name, scopes: scope, expires: expires?.time(after: now), now: now)
      if json {
        var fields = token.json
        fields["token"] = .string(text)
        return Output.json(.map(fields))
      }
      Output.exact(text)
      Output.say(
        .notice, "Token \(token.id)\(token.nameInWords): \(token.scopesInWords)\(token.expiryInWords).")
      Output.say(
        .notice, "Keep it now: it is not shown again. trigger-host token revoke \(token.id) takes it back.")
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print a line for each token, in the order in which they were made.",
      discussion: "The time of the last use is exact to a minute, and written down after another.")
    @OptionGroup var place: TokenPlace
    @Flag(help: "Print JSON Lines.") var json = false

    func run() throws {
      let now = Timestamp(nanoseconds: SystemClock().now())
      let tokens = try place.files().list()
      for (token, used) in tokens {
        if json {
          var fields = token.json
          fields["state"] = .string(token.state(at: now).rawValue)
          fields["last_used"] = used.map { .string("\($0)") } ?? .null
          Output.json(.map(fields))
        } else {
          let use = used.map { "last used \($0)" } ?? "not used yet"
          let state = token.state(at: now) == .good ? "" : "  \(token.state(at: now).rawValue)"
          Output.result(
            "\(token.id)\(token.nameInWords)  \(token.scopesInWords)\(state)  made \(token.created)\(token.expiryInWords), \(use)"
          )
        }
      }
      if tokens.isEmpty, !json { Output.result("There is no token.") }
    }
  }

  struct Revoke: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take tokens back for good.",
      discussion: "A running host closes what is open with them. Others go on counting.")
    @Argument(help: "Their ids, as `token list` shows them.") var ids: [String]
    @OptionGroup var place: TokenPlace

    func run() throws {
      let now = Timestamp(nanoseconds: SystemClock().now())
      let files = try place.files()
      // All or none: a mistyped id is found before anything is changed.
      let known = Set(try files.list().map(\.token.id))
      let wanted = try ids.map { text in
        guard let id = TokenID(text), known.contains(id) else {
          throw AccessError("no token has the id `\(text)`; trigger-host token list shows them")
        }
        return id
      }
      for id in wanted {
        let token = try files.revoke(id, now: now)
        Output.result("Token \(token.id)\(token.nameInWords) counts no more.")
      }
    }
  }
}

/// Where the tokens of a host are.
struct TokenPlace: ParsableArguments {
  @Option(
    help:
      "The host's data directory, or the directory of a host.yaml that names none. Default: what host.yaml here says.",
    completion: .directory)
  var data: String?

  /// - Throws: when nothing says where they are; what is wrong with `host.yaml` is said.
  func files() throws -> TokenFiles {
    if let data { return TokenFiles(in: data) }
    guard let host = HostConfig.fileHere else {
      throw ValidationError("Say whose tokens: --data DIR; there is no host.yaml here.")
    }
    let loaded = HostConfig.load(path: host)
    // Another mistake in it is no reason not to revoke a token.
    if loaded.config.data == nil { try report(loaded.report) }
    return TokenFiles(of: loaded.config)
  }
}

/// When a token ends.
enum Expiry {
  case after(Duration)
  case at(Timestamp)

  init(_ text: String) throws {
    if let span = try? TimeSpan.parse(text), span > .zero {
      self = .after(span)
    } else if let time = try? Timestamp(parsing: text) {
      self = .at(time)
    } else {
      throw ValidationError("expected a span like 30d or 12h, or a time like 2026-07-01T08:00:00Z")
    }
  }

  /// - Throws: when it is beyond the times that there are.
  func time(after now: Timestamp) throws -> Timestamp {
    switch self {
    case .at(let time): return time
    case .after(let span):
      let end = now.nanoseconds.addingReportingOverflow(span.nanoseconds)
      guard !end.overflow else {
        throw ValidationError("--expires: after the year 2262; leave it out for a token that never ends")
      }
      return Timestamp(nanoseconds: end.partialValue)
    }
  }
}

extension AccessError: ExpectedFailure {}

extension Token {
  fileprivate var nameInWords: String { name == id.description ? "" : " '\(name)'" }
  fileprivate var scopesInWords: String { scopes.map(\.description).joined(separator: " ") }
  fileprivate var expiryInWords: String { expires.map { ", until \($0)" } ?? "" }

  fileprivate var json: Value.Map {
    [
      "id": .string(id.description), "name": .string(name),
      "scopes": .array(scopes.map { .string("\($0)") }), "created": .string("\(created)"),
      "expires": expires.map { .string("\($0)") } ?? .null,
      "revoked": revoked.map { .string("\($0)") } ?? .null,
    ]
  }
}
