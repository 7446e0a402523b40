import TriggerCore

/// One item of `feeds:`: a recorded file whose rows arrive as events.
package struct FeedSettings: Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    case data, message, event
  }

  package enum Format: String, Sendable, CaseIterable {
    case csv, jsonl
  }

  /// What a CSV column becomes.
  package struct Column: Sendable, Hashable {
    package enum CellType: String, Sendable, CaseIterable {
      case string, integer, number, boolean
      /// The column is left out.
      case skip
    }

    /// The name in the event; nil keeps the header's.
    package var name: String?
    /// Nil: each cell by its looks.
    package var type: CellType?

    package init(name: String? = nil, type: CellType? = nil) {
      self.name = name
      self.type = type
    }
  }

  package var name: String
  package var file: HostConfig.Path
  package var format: Format
  /// The name of the events.
  package var event: String
  package var kind = Kind.data
  /// Fields added to every event; a cell of the same name wins.
  package var set: Value.Map = [:]
  /// By the header's name, or the position from 1.
  package var columns: [String: Column] = [:]
  /// What stands between the cells of a CSV file; nil: what the header shows.
  package var delimiter: UInt8?
  /// Events per second; nil is as fast as the queue takes them.
  package var rate: Double?
  /// Start again at the end of the file.
  package var isRepeating = false
  /// Where the feed is written.
  package var line: Int

  package init(name: String, file: HostConfig.Path, format: Format, event: String, line: Int = 1) {
    self.name = name
    self.file = file
    self.format = format
    self.event = event
    self.line = line
  }
}

extension FeedSettings {
  static let keys = [
    "name", "file", "event", "kind", "format", "set", "columns", "delimiter", "rate", "repeat",
  ]

  /// Reads one item; nil, and reported, when it cannot be a feed.
  static func read(
    _ node: ConfigNode, path: String, config: HostConfig, reader: ConfigReader
  ) -> FeedSettings? {
    guard let map = MapReader(node, path: path, keys: keys, reader: reader) else { return nil }
    for key in ["name", "file", "event"] where !map.has(key) { map.fail("`\(key)` is missing") }
    let name = map.string("name")
    let event = map.eventName("event")
    let format = readFormat(map)
    var feed = FeedSettings(
      name: name ?? "", file: HostConfig.Path(text: "", resolved: ""), format: format ?? .csv,
      event: event ?? "", line: map.line)
    let file = map.string("file")
    if let file, let line = map.node("file")?.line { feed.file = config.path(file, line: line) }
    feed.kind = map.choice("kind") ?? feed.kind
    feed.set = map.values("set") ?? feed.set
    feed.rate = map.positiveNumber("rate")
    feed.isRepeating = map.bool("repeat") ?? feed.isRepeating
    feed.readColumns(map)
    feed.readDelimiter(map)
    return name == nil || event == nil || file == nil || format == nil ? nil : feed
  }

  private static func readFormat(_ map: MapReader) -> Format? {
    if map.has("format") { return map.choice("format") }
    guard let file = map.string("file")?.lowercased() else { return nil }
    if file.hasSuffix(".csv") { return .csv }
    if file.hasSuffix(".jsonl") || file.hasSuffix(".ndjson") { return .jsonl }
    map.fail("file", "expected a .csv or .jsonl file, or a `format`, got `\(file)`")
    return nil
  }

  private mutating func readDelimiter(_ map: MapReader) {
    guard let text = map.string("delimiter") else { return }
    if format == .jsonl { map.fail("delimiter", "applies to CSV feeds only") }
    delimiter = CSVDelimiter.named(text)
    if delimiter == nil {
      map.fail("delimiter", "expected one character such as `;` or `|`, or `tab`, got `\(text)`")
    }
  }

  private mutating func readColumns(_ map: MapReader) {
    guard let section = map.openMap("columns") else { return }
    if format == .jsonl { map.fail("columns", "applies to CSV feeds only") }
    for entry in section.all {
      if case .scalar = entry.value.content {
        // Short form: `volume: integer`.
        columns[entry.key] = Column(type: section.choice(entry.key))
      } else if let options = section.map(entry.key, keys: ["name", "type"]) {
        columns[entry.key] = Column(name: options.string("name"), type: options.choice("type"))
      }
    }
  }
}
