import Testing
import TriggerCore
import TriggerHost

@testable import TriggerStores

/// What others edit in the directory of a store.
@Suite struct FileEditCommitTests {
  /// Edits by others become one commit, with the number of their burst.
  @Test func editsAreOneCommit() async throws {
    let directory = try FilesDirectory(["a": "1"])
    let backend = try FileStoreBackend(directory: directory.root, mark: nil)
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let store = try coordinator.register(VersionedStore("files", backend: backend))
    let queue = TriggerQueue(coordinator)
    queue.start()
    let edits = FileEdits(
      number: 4, edits: [FileEdit(path: "a", content: nil), FileEdit(path: "b", content: FileContent("2"))])
    let result = try await queue.perform(FileEditTrigger(store, edits))
    #expect(result.trigger == "file-edit" && result.outcome == .committed)
    #expect(try store.scan().map(\.key) == ["b"])
    await queue.stop()
    backend.stop()
  }
}
