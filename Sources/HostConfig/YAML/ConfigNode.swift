import Yams

/// A node of a YAML file, with its place: the only form in which the rest of this target sees YAML.
///
/// Aliases are expanded (under a cap), keys are text and unique, and custom tags are gone.
struct ConfigNode {
  enum Content {
    /// Text, and whether it was written plain (so `5` may be a number and `"5"` may not).
    case scalar(String, isPlain: Bool)
    case list([ConfigNode])
    case map([Entry])
  }

  struct Entry {
    var key: String
    var line: Int
    var column: Int
    var value: ConfigNode
  }

  var content: Content
  var line: Int
  var column: Int

  /// What bounds the work that a small file can cause.
  enum Limit {
    /// Bytes of a file.
    static let fileSize = 1 << 20
    /// `*name` tokens in the text, checked before the parser hashes anything they expand to.
    static let aliases = 64
    /// Nodes once aliases are expanded.
    static let nodes = 100_000
    /// Nesting of the tree we build.
    static let depth = 64
  }

  /// True for `~`, `null` and nothing at all.
  var isNull: Bool {
    if case .scalar(let text, isPlain: true) = content { return ["", "~", "null"].contains(text) }
    return false
  }

  /// What the user wrote, short enough for a message.
  var excerpt: String {
    switch content {
    case .scalar("", _): "nothing"
    case .scalar(let text, _):
      text.count <= 60 && !text.contains("\n") ? "`\(text)`" : "a text of \(text.count) characters"
    case .list: "a list"
    case .map: "a mapping"
    }
  }
}

extension ConfigNode {
  /// Parses one YAML document. Nil means that nothing can be read; the report then says why.
  ///
  /// An empty file is an empty mapping.
  static func parse(_ text: String, file: String, report: inout ConfigReport) -> ConfigNode? {
    func fail(_ line: Int?, _ column: Int? = nil, _ message: String) -> ConfigNode? {
      report.add(ConfigProblem(file: file, line: line, column: column, message: message))
      return nil
    }
    guard text.utf8.count <= Limit.fileSize else {
      return fail(nil, nil, "larger than 1 MiB; a config is meant to be small")
    }
    if let place = placeOfExcess(in: text) { return fail(place.line, nil, place.message) }
    do {
      // Without resolver rules every scalar stays text: we read YAML 1.2's few plain forms
      // ourselves, so that `no` and `12:30` are not taken for a boolean and a number.
      let parser = try Yams.Parser(yaml: text, resolver: .basic, encoding: .utf8)
      guard let root = try parser.singleRoot() else {
        return ConfigNode(content: .map([]), line: 1, column: 1)
      }
      var builder = Builder(file: file)
      let node = builder.build(root, depth: 0)
      report.add(builder.report)
      if let node, node.isNull { return ConfigNode(content: .map([]), line: 1, column: 1) }
      return node
    } catch let error as YamlError {
      let (line, column, message) = explain(error, text: text)
      return fail(line, column, message)
    } catch {
      return fail(nil, nil, "not readable as YAML: \(error)")
    }
  }

  /// Looks for what could make parsing itself expensive: many aliases, or brackets nested without end
  /// (the parser recurses). Counts a little too much inside quotes and comments, which is harmless.
  private static func placeOfExcess(in text: String) -> (line: Int, message: String)? {
    var (line, aliases, depth) = (1, 0, 0)
    var previous: UInt8 = UInt8(ascii: "\n")
    var star = false
    for byte in text.utf8 {
      if star, isNameByte(byte) { aliases += 1 }
      star = false
      switch byte {
      case UInt8(ascii: "\n"): line += 1
      case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
      case UInt8(ascii: "]"), UInt8(ascii: "}"): depth = max(0, depth - 1)
      case UInt8(ascii: "*"): star = [" ", "\n", "\t", "[", "{", ",", ":"].contains(UnicodeScalar(previous))
      default: break
      }
      if aliases > Limit.aliases { return (line, "more than \(Limit.aliases) aliases (`*name`)") }
      if depth > 4 * Limit.depth { return (line, "brackets nested too deep") }
      previous = byte
    }
    return nil
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
      || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
  }

  private static func explain(_ error: YamlError, text: String) -> (line: Int?, column: Int?, String) {
    switch error {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      let during = context.map { "\($0.text), " } ?? ""
      // The parser may point behind the last line.
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      let line = min(mark.line, lines.count)
      if line > 0, let hint = hintOfQuotes(in: lines[line - 1]) { return (line, mark.column, hint) }
      return (line, mark.column, "not valid YAML: \(during)\(problem)")
    case .duplicatedKeysInMapping(let keys, let context):
      return explainDuplicate(of: keys.first ?? "", firstMark: context.mark, text: text)
    case .reader(let problem, let offset, _, _):
      let line = offset.map { text.prefix($0).count { $0.isNewline } + 1 }
      return (line, nil, "not valid YAML: \(problem)")
    default:
      return (nil, nil, "not readable as YAML: \(error)")
    }
  }

  /// `cron: */5 * * * *` and `cron: @daily` are what everybody writes first: YAML takes `*` for an alias, and `@` for
  /// nothing that it knows (YAML 1.2.2, 5.3, https://yaml.org/spec/1.2.2/).
  private static func hintOfQuotes(in line: Substring) -> String? {
    let pattern = #/([\w.-]+): +((?:\*[^A-Za-z_]|[@%]).*?) *(?:, .*|\}.*| #.*)?$/#
    guard let (_, key, value) = line.firstMatch(of: pattern)?.output else { return nil }
    return "a value that begins with `\(value.prefix(1))` must stand in quotes: \(key): \"\(value)\""
  }

  /// The parser names the first use of a key; people look for the second.
  private static func explainDuplicate(
    of key: String, firstMark: Mark, text: String
  ) -> (line: Int?, column: Int?, String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    for index in lines.indices where index >= firstMark.line {
      let line = lines[index].drop { $0 == " " || $0 == "-" }
      let column = lines[index].count - line.count + 1
      guard column == firstMark.column else { continue }
      let bare = line.drop { $0 == "\"" || $0 == "'" }
      let rest = bare.dropFirst(key.count).drop { $0 == "\"" || $0 == "'" || $0 == " " }
      if bare.hasPrefix(key), rest.first == ":" {
        return (index + 1, column, "`\(key)` is given twice; first on line \(firstMark.line)")
      }
    }
    return (firstMark.line, firstMark.column, "`\(key)` is given twice in this mapping")
  }
}

/// Copies Yams' tree into ours, counting as it goes.
private struct Builder {
  let file: String
  var report = ConfigReport()
  private var count = 0

  init(file: String) {
    self.file = file
  }

  mutating func build(_ node: Yams.Node, depth: Int) -> ConfigNode? {
    let mark = node.mark
    count += 1
    guard count <= ConfigNode.Limit.nodes else {
      if count == ConfigNode.Limit.nodes + 1 {
        fail(mark, "more than \(ConfigNode.Limit.nodes) values, with all aliases expanded")
      }
      return nil
    }
    guard depth <= ConfigNode.Limit.depth else {
      fail(mark, "nested deeper than \(ConfigNode.Limit.depth) levels")
      return nil
    }
    guard let content = content(of: node, mark: mark, depth: depth) else { return nil }
    return ConfigNode(content: content, line: mark?.line ?? 1, column: mark?.column ?? 1)
  }

  private mutating func content(of node: Yams.Node, mark: Mark?, depth: Int) -> ConfigNode.Content? {
    switch node {
    case .scalar(let scalar):
      return text(of: scalar, mark: mark)
    case .sequence(let sequence):
      return .list(sequence.compactMap { build($0, depth: depth + 1) })
    case .mapping(let mapping):
      return .map(mapping.compactMap { entry($0.key, $0.value, depth: depth + 1) })
    case .alias:
      fail(mark, "an alias that leads nowhere")
      return nil
    }
  }

  private mutating func text(of scalar: Yams.Node.Scalar, mark: Mark?) -> ConfigNode.Content? {
    let core = "tag:yaml.org,2002:"
    switch scalar.tag.rawValue {
    case "", core + "int", core + "float", core + "bool", core + "null":
      return .scalar(scalar.string, isPlain: scalar.style == .plain)
    case "!", core + "str":
      return .scalar(scalar.string, isPlain: false)
    case let tag:
      fail(mark, "the tag `\(tag)` is not supported")
      return nil
    }
  }

  private mutating func entry(_ key: Yams.Node, _ value: Yams.Node, depth: Int) -> ConfigNode.Entry? {
    let mark = key.mark
    guard case .scalar(let scalar) = key else {
      fail(mark, "a key must be plain text")
      return nil
    }
    guard let node = build(value, depth: depth) else { return nil }
    return ConfigNode.Entry(
      key: scalar.string, line: mark?.line ?? 1, column: mark?.column ?? 1, value: node)
  }

  private mutating func fail(_ mark: Mark?, _ message: String) {
    report.add(ConfigProblem(file: file, line: mark?.line, column: mark?.column, message: message))
  }
}
