import TriggerCore

/// Collects the problems of one file while its nodes are read. Confined to the call that reads it.
final class ConfigReader {
  let file: String
  private(set) var report = ConfigReport()

  init(file: String) {
    self.file = file
  }

  func fail(_ node: ConfigNode, _ message: String) {
    fail(line: node.line, column: node.column, message)
  }

  func fail(line: Int, column: Int?, _ message: String) {
    report.add(ConfigProblem(file: file, line: line, column: column, message: message))
  }

  func add(_ other: ConfigReport) {
    report.add(other)
  }
}

/// The keys of one mapping, read by name. Every getter gives nil for a key that is absent, null or
/// wrong; what is wrong has then been reported with its line.
struct MapReader {
  let reader: ConfigReader
  let line: Int
  let column: Int
  /// Where the mapping is, such as `limits` or `feeds[0]`; empty at the top of the file.
  let path: String
  private let entries: [String: ConfigNode.Entry]

  /// Reports keys outside `keys`. Nil, and reported, when the node is not a mapping.
  init?(_ node: ConfigNode, path: String, keys: [String], reader: ConfigReader) {
    guard let map = MapReader(open: node, path: path, reader: reader) else { return nil }
    self = map
    for entry in map.all where !keys.contains(entry.key) {
      let hint = Suggestion.clause(for: entry.key, among: keys)
      let known = hint.isEmpty ? "; known here: \(keys.joined(separator: ", "))" : hint
      reader.fail(
        line: entry.line, column: entry.column, "unknown key `\(map.join(entry.key))`\(known)")
    }
  }

  /// A mapping whose keys are the user's own. Nil, and reported, when the node is not a mapping.
  init?(open node: ConfigNode, path: String, reader: ConfigReader) {
    self.reader = reader
    self.path = path
    line = node.line
    column = node.column
    switch node.content {
    case .map(let list):
      var found: [String: ConfigNode.Entry] = [:]
      for entry in list {
        if let first = found[entry.key] {
          reader.fail(
            line: entry.line, column: entry.column,
            "`\(entry.key)` is given twice; first on line \(first.line)")
        } else {
          found[entry.key] = entry
        }
      }
      entries = found
    case .scalar where node.isNull:
      entries = [:]
    default:
      let place = path.isEmpty ? "the file" : path
      reader.fail(node, "\(place): expected a mapping (`key: value`), got \(node.excerpt)")
      return nil
    }
  }

  /// All entries in the order of the file.
  var all: [ConfigNode.Entry] {
    entries.values.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
  }

  func has(_ key: String) -> Bool { node(key) != nil }

  /// The node of a key, unless it is absent or null.
  func node(_ key: String) -> ConfigNode? {
    entries[key].flatMap { $0.value.isNull ? nil : $0.value }
  }

  /// The full name of a key, for messages.
  func join(_ key: String) -> String {
    path.isEmpty ? key : "\(path).\(key)"
  }

  /// Reports a problem with the mapping as a whole.
  func fail(_ message: String) {
    reader.fail(line: line, column: column, path.isEmpty ? message : "\(path): \(message)")
  }

  /// Reports a problem with the value of a key.
  func fail(_ key: String, _ message: String) {
    guard let node = node(key) else { return fail("`\(key)`: \(message)") }
    reader.fail(node, "\(join(key)): \(message)")
  }
}

// MARK: - Typed getters

extension MapReader {
  /// Reads a key's scalar; `expected` completes "expected …" when `parse` refuses the text.
  func scalar<T>(_ key: String, expected: String, _ parse: (String, _ isPlain: Bool) -> T?) -> T? {
    guard let node = node(key) else { return nil }
    if case .scalar(let text, let isPlain) = node.content, let value = parse(text, isPlain) { return value }
    fail(key, "expected \(expected), got \(node.excerpt)")
    return nil
  }

  /// Text that is not empty. A number or a boolean counts as its spelling.
  func string(_ key: String) -> String? {
    scalar(key, expected: "text") { text, _ in text.isEmpty ? nil : text }
  }

  func bool(_ key: String) -> Bool? {
    scalar(key, expected: "true or false") { text, isPlain in isPlain ? ConfigNode.bool(text) : nil }
  }

  func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
    let top = range.upperBound == .max ? "of at least \(range.lowerBound)" : ""
    let expected = top.isEmpty ? "from \(range.lowerBound) to \(range.upperBound)" : top
    return scalar(key, expected: "a whole number \(expected)") { text, isPlain in
      guard isPlain, let number = ConfigNode.integer(text).flatMap({ Int(exactly: $0) }) else { return nil }
      return range.contains(number) ? number : nil
    }
  }

  /// A finite number above zero.
  func positiveNumber(_ key: String) -> Double? {
    scalar(key, expected: "a number above 0") { text, isPlain in
      guard isPlain, let number = ConfigNode.double(text), number > 0 else { return nil }
      return number
    }
  }

  /// A time span; zero is refused unless asked for.
  func timeSpan(_ key: String, allowZero: Bool = false) -> Duration? {
    let above = allowZero ? "" : " above 0"
    return scalar(key, expected: "a time span\(above) such as 250ms, 2s, 5m or 1h") { text, _ in
      (try? TimeSpan.parse(text)).flatMap { $0 > .zero || allowZero ? $0 : nil }
    }
  }

  /// A size in bytes above zero.
  func byteSize(_ key: String) -> Int? {
    scalar(key, expected: "a size such as 512kb, 64mb or 1gb") { text, _ in
      (try? ByteSize(parsing: text).bytes).flatMap { $0 > 0 ? $0 : nil }
    }
  }

  /// One of an enum's words.
  func choice<T: RawRepresentable & CaseIterable>(_ key: String, _: T.Type = T.self) -> T?
  where T.RawValue == String {
    guard let node = node(key) else { return nil }
    let words = T.allCases.map(\.rawValue)
    guard case .scalar(let text, _) = node.content else {
      fail(key, "expected one of \(words.joined(separator: ", ")), got \(node.excerpt)")
      return nil
    }
    if let value = T(rawValue: text) { return value }
    let hint = Suggestion.clause(for: text, among: words)
    fail(key, "expected one of \(words.joined(separator: ", ")), got `\(text)`\(hint)")
    return nil
  }

  /// The items of a list; a single node counts as a list of one when `orSingle`.
  func list(_ key: String, orSingle: Bool = false) -> [ConfigNode] {
    guard let node = node(key) else { return [] }
    if case .list(let items) = node.content { return items }
    if orSingle { return [node] }
    fail(key, "expected a list (`- …`), got \(node.excerpt)")
    return []
  }

  /// A mapping below this one with known keys.
  func map(_ key: String, keys: [String]) -> MapReader? {
    node(key).flatMap { MapReader($0, path: join(key), keys: keys, reader: reader) }
  }

  /// A mapping below this one whose keys are the user's own.
  func openMap(_ key: String) -> MapReader? {
    node(key).flatMap { MapReader(open: $0, path: join(key), reader: reader) }
  }

  /// A mapping of values, such as a payload.
  func values(_ key: String) -> Value.Map? {
    guard let map = openMap(key) else { return nil }
    var values: Value.Map = [:]
    for entry in map.all { values[entry.key] = entry.value.value(reader, path: map.join(entry.key)) }
    return values
  }
}
