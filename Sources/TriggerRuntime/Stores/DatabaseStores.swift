import HostConfig
import TriggerCore
import TriggerHost
import TriggerSQLite
import TriggerStores

extension CommitCoordinator {
  /// Makes the stores of a configuration known.
  ///
  /// - Parameter opened: the log that tables follow; nil in memory.
  /// - Returns: those that are directories, to be started.
  /// - Throws: `ConfigProblem` when a table has no log to follow, its file cannot be this store's, or another host has
  ///   a directory.
  package func register(
    _ config: HostConfig, following opened: OpenDirectory?, _ notices: Notices
  ) throws -> FileStores {
    var directories: [VersionedStore<FileStoreBackend>] = []
    for (name, store) in config.stores.sorted(by: { $0.key < $1.key }) {
      if let database = store.database {
        let table = StoreTableSettings(name: name, database: database, line: store.line, file: config.file)
        try register(VersionedStore(name, backend: try table.backend(following: opened, notices)))
      } else if let files = store.files {
        let settings = FileStoreSettings(name: name, files: files, file: config.file)
        let backend = try settings.backend(following: opened)
        do { directories.append(try register(VersionedStore(name, backend: backend))) } catch let error
          as FileProblem
        {
          throw settings.problem(error)
        }
      } else {
        try register(VersionedStore(name, backend: MemoryStoreBackend()))
      }
    }
    return FileStores(directories, notices)
  }
}

/// A database store of a configuration, and where that says so.
package struct StoreTableSettings {
  var name: String
  var database: HostConfig.Store.Database
  var line: Int
  /// The configuration.
  var file: String

  package init(name: String, database: HostConfig.Store.Database, line: Int, file: String) {
    (self.name, self.database, self.line, self.file) = (name, database, line, file)
  }

  func backend(following opened: OpenDirectory?, _ notices: Notices) throws -> DatabaseStoreBackend {
    guard let opened else {
      throw ConfigProblem(
        file: file, line: line,
        message:
          "store '\(name)': its table follows the log, and in memory there is none: run with --data DIR, or say `data` here"
      )
    }
    do throws(TableError) {
      return try DatabaseStoreBackend(
        path: FilePath.join(below: opened.directory.path, database.file), store: name, table: database.table,
        history: LogHistory(log: opened.directory.logID, epoch: opened.epoch)
      ) { notice in
        notice.level == .info
          ? notices.say(.info, "\(notice)", code: .storage)
          : notices.warning("\(notice.level): \(notice)", code: .storage)
      }
    } catch { throw problem(error) }
  }

  /// What is wrong with the table's SQL, tried in memory.
  package func mistake() -> ConfigProblem? {
    do throws(TableError) { try DatabaseStoreBackend.tryOut(database.table) } catch { return problem(error) }
    return nil
  }

  private func problem(_ error: TableError) -> ConfigProblem {
    let lines = database.migrationLines
    let place = error.migration.flatMap { lines.indices.contains($0) ? lines[$0] : nil }
    return ConfigProblem(
      file: file, line: place ?? line,
      message: "store '\(name)': \(error.path.isEmpty ? error.message : "\(error)")")
  }
}
