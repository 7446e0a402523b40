import Foundation
import TriggerCore
import TriggerHost

extension HostConfig {
  /// A store that exists from the start.
  package struct Store: Sendable, Hashable {
    package enum Backend: String, Sendable, CaseIterable {
      case memory, database, files
    }

    /// What a store with `backend: database` looks like.
    package struct Database: Sendable, Hashable {
      /// As written or by default; relative paths count from the data directory.
      package var file: String
      package var table: DatabaseTable
      /// Where each migration is written.
      package var migrationLines: [Int] = []
    }

    /// What a store with `backend: files` looks like.
    package struct Files: Sendable, Hashable {
      package enum Watch: String, Sendable, CaseIterable {
        /// As the system tells; by looking from time to time where it does not.
        case auto
        /// By looking from time to time: network mounts.
        case poll
      }

      package var directory: Path
      package var watch = Watch.auto
      /// Limits: the others as they are.
      package var policy = FilePathPolicy()
    }

    package var backend = Backend.memory
    /// Set with `backend: database`, unless what is wrong forbids it.
    package var database: Database?
    /// Set with `backend: files`, unless what is wrong forbids it.
    package var files: Files?
    package var line: Int

    package init(line: Int) {
      self.line = line
    }
  }
}

extension HostConfig.Store {
  private static let databaseKeys = ["file", "table", "columns", "indexes", "migrations"]
  private static let filesKeys = ["directory", "watch", "max_file", "max_total", "max_files"]

  /// Reads the options of one store; what is wrong is reported.
  ///
  /// - Parameter config: paths count from its directory.
  static func read(
    _ entry: ConfigNode.Entry, path: String, config: HostConfig, reader: ConfigReader
  ) -> HostConfig.Store {
    var store = HostConfig.Store(line: entry.line)
    let keys = ["backend"] + databaseKeys + filesKeys
    guard let options = MapReader(entry.value, path: path, keys: keys, reader: reader) else { return store }
    store.backend = options.choice("backend") ?? store.backend
    let isWrong = options.has("backend") && Backend(rawValue: options.text("backend")) == nil
    for (backend, keys) in [(Backend.database, databaseKeys), (.files, filesKeys)]
    where backend != store.backend && !isWrong {
      for key in keys where options.has(key) {
        options.fail(key, "applies to `backend: \(backend.rawValue)` only")
      }
    }
    switch store.backend {
    case .memory: break
    case .database: store.readDatabase(options, name: entry.key)
    case .files: store.readFiles(options, config)
    }
    return store
  }

  private mutating func readFiles(_ options: MapReader, _ config: HostConfig) {
    guard options.has("directory") else { return options.fail("`backend: files` needs a `directory`") }
    guard let text = options.string("directory"), let node = options.node("directory") else { return }
    var files = Files(directory: config.path(text, line: node.line))
    files.watch = options.choice("watch") ?? files.watch
    let most = files.policy.fileBytes
    files.policy.fileBytes = options.byteSize("max_file") ?? most
    // `1mb` is meant as the limit that there is.
    if files.policy.fileBytes > 1 << 20 {
      options.fail("max_file", "a file must fit into a value: at most 1mb")
    }
    files.policy.fileBytes = min(files.policy.fileBytes, most)
    files.policy.treeBytes = options.byteSize("max_total") ?? files.policy.treeBytes
    if files.policy.treeBytes < files.policy.fileBytes {
      options.fail(
        options.has("max_total") ? "max_total" : "max_file", "max_total must not be less than max_file")
    }
    files.policy.files = options.integer("max_files", in: 1...1_000_000) ?? files.policy.files
    self.files = files
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
  /// File stores whose directory lies in another one of the host's, or has one in it: one of them would take the
  /// other's files for its own.
  ///
  /// - Parameter data: where the host keeps everything; nil: in memory.
  package func overlaps(data: String?) -> [ConfigProblem] {
    var places = [(what: "the scripts directory", path: Self.realPath(scripts.resolved))]
    if let data { places.append(("the data directory", Self.realPath(data))) }
    var problems: [ConfigProblem] = []
    for (name, store) in stores.sorted(by: { ($0.value.line, $0.key) < ($1.value.line, $1.key) }) {
      guard let directory = store.files?.directory else { continue }
      let path = Self.realPath(directory.resolved)
      if let other = places.first(where: { Self.isInside($0.path, path) || Self.isInside(path, $0.path) }) {
        let relation =
          path == other.path ? "is" : Self.isInside(path, other.path) ? "lies in" : "has in it"
        problems.append(
          ConfigProblem(
            file: file, line: directory.line,
            message:
              "stores.\(name).directory: `\(directory.text)` \(relation) \(other.what) (\(other.path)); files of a store need a directory of their own"
          ))
      }
      places.append(("the directory of store `\(name)`", path))
    }
    return problems
  }

  private static func isInside(_ path: String, _ directory: String) -> Bool {
    path == directory || path.hasPrefix(directory.hasSuffix("/") ? directory : directory + "/")
  }

  /// Without links, as far as it exists.
  private static func realPath(_ path: String) -> String {
    if let real = realpath(path, nil) {
      defer { free(real) }
      return String(cString: real)
    }
    let url = URL(fileURLWithPath: path).standardized
    if url.path == "/" { return "/" }
    let above = realPath(url.deletingLastPathComponent().path)
    return (above == "/" ? "" : above) + "/" + url.lastPathComponent
  }

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
