import TriggerCore
import TriggerHost

extension HostConfig {
  /// A store that exists from the start.
  package struct Store: Sendable, Hashable {
    package enum Backend: String, Sendable, CaseIterable {
      case memory, database
    }

    /// What a store with `backend: database` looks like.
    package struct Database: Sendable, Hashable {
      /// As written or by default; relative paths count from the data directory.
      package var file: String
      package var table: DatabaseTable
      /// Where each migration is written.
      package var migrationLines: [Int] = []
    }

    package var backend = Backend.memory
    /// Set with `backend: database`, unless what is wrong forbids it.
    package var database: Database?
    package var line: Int

    package init(line: Int) {
      self.line = line
    }
  }
}

extension HostConfig.Store {
  private static let databaseKeys = ["file", "table", "columns", "indexes", "migrations"]

  /// Reads the options of one store; what is wrong is reported.
  static func read(
    _ entry: ConfigNode.Entry, path: String, reader: ConfigReader
  ) -> HostConfig.Store {
    var store = HostConfig.Store(line: entry.line)
    guard
      let options = MapReader(entry.value, path: path, keys: ["backend"] + databaseKeys, reader: reader)
    else { return store }
    store.backend = options.choice("backend") ?? store.backend
    guard store.backend == .database else {
      let isWrong =
        options.has("backend") && HostConfig.Store.Backend(rawValue: options.text("backend")) == nil
      for key in databaseKeys where options.has(key) && !isWrong {
        options.fail(key, "applies to `backend: database` only")
      }
      return store
    }
    store.readDatabase(options, name: entry.key)
    return store
  }

  private mutating func readDatabase(_ options: MapReader, name: String) {
    var table = DatabaseTable(options.string("table") ?? name)
    if let fault = DatabaseTable.fault(inName: table.name) {
      let place = options.has("table") ? "table" : nil
      let message = "the table name `\(table.name)` \(fault)"
      if let place { options.fail(place, message) } else { options.fail("\(message); give it a `table`") }
    }
    table.columns = Self.readColumns(options)
    table.indexes = Self.readIndexes(options, table)
    let migrations = options.texts("migrations", what: "SQL")
    table.migrations = migrations.map(\.text)
    database = Database(
      file: options.string("file") ?? "stores/\(name).sqlite", table: table,
      migrationLines: migrations.map(\.line))
  }

  private static func readColumns(_ options: MapReader) -> [DatabaseTable.Column] {
    guard let section = options.openMap("columns") else { return [] }
    var columns: [DatabaseTable.Column] = []
    for entry in section.all {
      if let fault = DatabaseTable.fault(inColumn: entry.key) {
        section.reader.fail(
          line: entry.line, column: entry.column, "\(section.path): the column name `\(entry.key)` \(fault)")
      } else if columns.contains(where: { $0.name.lowercased() == entry.key.lowercased() }) {
        section.reader.fail(
          line: entry.line, column: entry.column,
          "\(section.path): the column name `\(entry.key)` is used twice; SQL does not tell upper from lower case"
        )
      } else if !section.has(entry.key) {
        section.reader.fail(
          line: entry.line, column: entry.column, "\(section.join(entry.key)): expected a type, got nothing")
      } else if let type = section.choice(entry.key, DatabaseTable.ColumnType.self) {
        columns.append(DatabaseTable.Column(entry.key, type))
      }
    }
    return columns
  }

  /// Each item is a column, or a list of columns.
  private static func readIndexes(_ options: MapReader, _ table: DatabaseTable) -> [[String]] {
    // A column that is wrong itself has been reported.
    let declared = options.openMap("columns")?.all.map(\.key) ?? []
    var indexes: [[String]] = []
    for (number, item) in options.list("indexes").enumerated() {
      let path = "\(options.join("indexes"))[\(number)]"
      let columns = readIndex(item, path: path, declared + DatabaseTable.ownColumns, options.reader)
      if let columns, indexes.contains(columns) {
        options.reader.fail(item, "\(path): the same index is there already")
      }
      if let columns { indexes.append(columns) }
    }
    return indexes
  }

  private static func readIndex(
    _ item: ConfigNode, path: String, _ known: [String], _ reader: ConfigReader
  ) -> [String]? {
    var nodes = [item]
    if case .list(let items) = item.content { nodes = items }
    if nodes.isEmpty { reader.fail(item, "\(path): an index needs a column") }
    let columns = nodes.compactMap { node -> String? in
      guard case .scalar(let name, _) = node.content, !name.isEmpty else {
        reader.fail(node, "\(path): expected a column, got \(node.excerpt)")
        return nil
      }
      if !known.contains(name) {
        let hint = Suggestion.clause(for: name, among: known)
        reader.fail(node, "\(path): no column is named `\(name)`\(hint)")
      }
      return name
    }
    return columns.isEmpty ? nil : columns
  }
}

extension HostConfig {
  /// Two tables cannot be in one file.
  func filesUsedTwice(_ reader: ConfigReader) {
    var first: [String: (name: String, line: Int)] = [:]
    let stores = stores.sorted { ($0.value.line, $0.key) < ($1.value.line, $1.key) }
    for (name, store) in stores {
      guard let file = store.database?.file else { continue }
      if let other = first[file] {
        reader.fail(
          line: store.line, column: nil,
          "stores.\(name).file: `\(file)` is the file of store `\(other.name)` already (line \(other.line))")
      }
      first[file] = first[file] ?? (name, store.line)
    }
  }
}

extension MapReader {
  /// What is written at a key; empty when it is no text.
  fileprivate func text(_ key: String) -> String {
    if case .scalar(let text, _)? = node(key)?.content { text } else { "" }
  }

  /// A list of texts with their lines.
  fileprivate func texts(_ key: String, what: String) -> [(text: String, line: Int)] {
    list(key).enumerated().compactMap { number, node in
      if case .scalar(let text, _) = node.content, !text.allSatisfy(\.isWhitespace) {
        return (text, node.line)
      }
      reader.fail(node, "\(join(key))[\(number)]: expected \(what), got \(node.excerpt)")
      return nil
    }
  }
}
