import Foundation
import HostConfig
import Synchronization
import TriggerCore
import TriggerFiles
import TriggerHost
import TriggerSQLite
import TriggerStores

/// The file stores of a host: follows their directories from `start` to `stop`, and says what is wrong with
/// files.
package final class FileStores: Sendable {
  private let stores: [VersionedStore<FileStoreBackend>]
  private let notices: Notices
  private let told = Mutex<[String: Set<String>]>([:])

  init(_ stores: [VersionedStore<FileStoreBackend>], _ notices: Notices) {
    self.stores = stores
    self.notices = notices
  }

  /// Writes out what an earlier run left undone, and returns when the edits made meanwhile are committed. After
  /// the queue has started.
  ///
  /// - Throws: `FileProblem` when a directory is not there, `StorageError`.
  package func start(_ queue: TriggerQueue) async throws {
    for store in stores {
      let name = store.name
      try await store.followEdits(
        through: queue, committed: { [notices] in Self.say($0, $1, of: name, notices) },
        problems: { [weak self] in self?.tell($0, of: name) })
    }
    if !stores.isEmpty { giveBackFreedMemory() }
  }

  private static func say(
    _ edits: FileEdits, _ result: OperationResult, of store: String, _ notices: Notices
  ) {
    let named = 5
    var names = edits.edits.prefix(named).map { FileProblem(path: $0.path, message: "").shownPath }
    if edits.edits.count > named { names.append("...") }
    notices.say(
      .info,
      "store '\(store)': \(counted(edits.edits.count, "file")) changed outside, taken up with seq \(result.seq): \(names.joined(separator: ", "))",
      ["seq": .int(result.seq)], code: .files)
  }

  /// Writes out what has been committed. After the queue has stopped.
  package func stop() { for store in stores { store.backend.stop() } }

  /// Problems that are new.
  private func tell(_ problems: [FileProblem], of store: String) {
    let lines = problems.map { problem in
      let place = problem.path.isEmpty ? "" : "\(problem.shownPath): "
      let text =
        "\(problem.severity == .warning ? "warning: " : "")store '\(store)': \(place)\(problem.message)"
      return (text: text, severity: problem.severity)
    }
    let new = told.withLock { told in
      let old = told.updateValue(Set(lines.map(\.text)), forKey: store) ?? []
      return lines.filter { !old.contains($0.text) }
    }
    for line in new {
      notices.say(line.severity == .warning ? .warning : .error, "\(line.text)", code: .files)
    }
  }
}

/// A file store of a configuration, and where that says so.
struct FileStoreSettings {
  var name: String
  var files: HostConfig.Store.Files
  /// The configuration.
  var file: String

  /// - Parameter opened: nil in memory: the store begins with what the directory holds.
  func backend(following opened: OpenDirectory?) throws -> FileStoreBackend {
    var options = DirectoryWatcher.Options()
    options.policy = files.policy
    if files.watch == .poll {
      options.noticing = .polled
      options.pollInterval = .milliseconds(200)
    }
    do {
      return try FileStoreBackend(
        directory: files.directory.resolved, mark: try opened.map { try mark(in: $0.directory.path) },
        options: options)
    } catch let error as StorageError { throw problem(error) }
  }

  func problem(_ error: any Error) -> ConfigProblem {
    ConfigProblem(file: file, line: files.directory.line, message: "store '\(name)': \(error)")
  }

  /// One for each directory: what was written into one says nothing of another.
  private func mark(in data: String) throws -> String {
    let directory = FilePath.join(data, "files")
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let place = String(StableHash.of(files.directory.text), radix: 16)
    return FilePath.join(directory, "\(name)-\(place).sqlite")
  }
}
