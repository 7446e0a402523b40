import Foundation
import Testing
import TriggerCore
import TriggerFiles
import TriggerHost

import TriggerStores

/// A process that is killed before each step of a write-out: the next one finishes it, all files of a commit or,
/// when the commit is not in the log, none; and edits of the time between are told.
@Suite struct FileStoreCrashTests {
  @Test(arguments: ["exchange", "fallback"]) func killedBeforeEachStep(_ kind: String) throws {
    var step = 1
    while true {
      let directory = try FilesDirectory()
      let status = try run(directory, step, kind)
      // Every other time somebody edits files before the next start.
      let edits = status == 0 || step % 2 == 0 ? nil : "mine"
      try finish(directory, edits: edits, "\(kind), step \(step)")
      if status == 0 { break }
      #expect(status == -SIGKILL, "\(kind), step \(step)")
      step += 1
    }
    #expect(step > 20, "the steps are counted")
  }

  private func finish(_ directory: FilesDirectory, edits: String?, _ name: String) throws {
    var expected = ["a": "2", "dir/d": "2", "e": "2"]
    if let edits {
      directory.write("a", edits)
      directory.write("dir/d", edits)
    }
    var told: [FileEdits] = []
    var options = DirectoryWatcher.Options()
    options.noticing = .notified
    let backend = try FileStoreBackend(directory: directory.root, mark: directory.mark, options: options)
    // Both commits are in the log, whatever the mark says of them.
    backend.replace(seq: 2, with: Value.Map(expected.mapValues { .string($0) }))
    let box = Box()
    try backend.start(FileStoreBackend.Handlers { box.edits.append($0) })
    told = box.edits
    #expect(told.flatMap(\.edits).map(\.path) == (edits == nil ? [] : ["a", "dir/d"]), "\(name)")
    if let burst = told.first {
      let changes = burst.edits.map { StoreChange(key: $0.path, value: $0.content?.value) }
      backend.apply(seq: 3, changes)
      backend.committed(burst, seq: 3)
      expected["a"] = edits
      expected["dir/d"] = edits
    }
    backend.stop()
    #expect(try directory.everything() == expected, "\(name)")
  }

  /// Filled on the backend's thread before `start` returns.
  private final class Box: @unchecked Sendable {
    var edits: [FileEdits] = []
  }

  private func run(_ directory: FilesDirectory, _ step: Int, _ kind: String) throws -> Int32 {
    let process = Process()
    let binary = try #require(Self.binary, "file-probe is not beside the test bundle")
    process.executableURL = binary
    process.arguments = ["crash", directory.root, directory.mark, "\(step)", kind]
    try process.run()
    process.waitUntilExit()
    return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
  }

  /// Where the build puts it, debug or release: beside the test bundle.
  private static let binary: URL? = {
    let places = [CommandLine.arguments.first.map { URL(fileURLWithPath: $0) }, Bundle.main.executableURL]
    return places.compactMap { $0?.deletingLastPathComponent().appendingPathComponent("file-probe") }
      .first { FileManager.default.isExecutableFile(atPath: $0.path) }
  }()
}
