import Foundation
import TriggerCore
import TriggerFiles
import TriggerHost
import TriggerStores

/// What following directories, checking script trees and writing files out cost on this machine.
enum Measurements {
  static func run() throws {
    let directory = NSTemporaryDirectory() + "file-probe-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try watching(directory + "/files")
    try scripts()
    try writing(directory)
  }

  // MARK: Watching

  private static func watching(_ root: String) throws {
    for index in 0..<10_000 {
      let folder = "\(root)/d\(index % 100)"
      if index < 100 {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      }
      try Data(text(index, bytes: 10_000)).write(to: URL(fileURLWithPath: "\(folder)/f\(index).lua"))
    }
    print("10,000 files of 10 kB in 100 directories")
    let before = memory()
    let watcher = DirectoryWatcher(root)
    let reported = DispatchSemaphore(value: 0)
    var first: DirectoryWatcher.Report?
    say("  first look") { first = watcher.start { _ in reported.signal() } }
    print("  memory: \((memory() - before) >> 20) MiB for \(first!.tree.byteCount >> 20) MiB of files")
    try say("  one file saved, until it is reported (30 ms of quiet among it)", times: 20) { time in
      try Data(text(time, bytes: 9_000)).write(to: URL(fileURLWithPath: root + "/d5/f5.lua"))
      reported.wait()
    }
    let looked = DispatchSemaphore(value: 0)
    say("  a look at everything, nothing changed", times: 5) { _ in
      watcher.perform { index in
        index.refresh(.everything)
        looked.signal()
      }
      looked.wait()
    }
    say("  a look of a polling watcher, nothing changed", times: 5) { _ in
      watcher.perform { index in
        _ = index.peek()
        looked.signal()
      }
      looked.wait()
    }
    watcher.stop()
  }

  // MARK: Scripts

  private static func scripts() throws {
    for (count, size) in [(1000, 500), (10_000, 10_000)] {
      var files: [String: FileContent] = [
        "lib/m.lua": FileContent("return { name = 'm' }"), "lib/n.lua": FileContent("return 'n'"),
      ]
      for index in 0..<count { files["t\(index).lua"] = FileContent(trigger(index, bytes: size, event: "e")) }
      print("\(count) triggers of \(size) bytes, one in ten with a module")
      let contents = FileTree(files)
      let before = memory()
      var tree = ScriptTree(FileTree())
      say("  first check") { tree = ScriptTree(contents) }
      precondition(tree.problems.isEmpty && tree.triggers.count == count)
      print("  memory: \((memory() - before) >> 20) MiB")
      try say("  one trigger changed", times: 20) { time in
        tree = try updated(tree, "t5.lua", trigger(5, bytes: size, event: "f\(time)"))
      }
      try say("  a module of 100 triggers changed", times: 5) { time in
        tree = try updated(tree, "lib/n.lua", "return 'n\(time)'")
      }
      try say("  a file that is no script changed", times: 20) { time in
        tree = try updated(tree, "notes.txt", "\(time)")
      }
    }
  }

  private static func updated(_ tree: ScriptTree, _ path: String, _ text: String) throws -> ScriptTree {
    var changes = FileChanges()
    changes[path] = .written(FileContent(text))
    return try tree.updated(with: changes).get().tree
  }

  private static func trigger(_ index: Int, bytes: Int, event: String) -> String {
    let module =
      index % 10 == 0 ? index % 100 == 0 ? "local n = require 'n'\n" : "local m = require 'm'\n" : ""
    let head =
      module + "return {\n  on = { event = \"\(event)\(index)\" },\n  execute = function(event, ctx)\n"
    let line = "    local value_\(index) = (event.value or 0) + \(index)\n"
    let block = "    do\n" + line + "    end\n"
    let body = String(repeating: block, count: max(1, (bytes - head.utf8.count) / block.utf8.count))
    return head + body + "    return {}\n  end,\n}\n"
  }

  // MARK: Writing

  private static func writing(_ directory: String) throws {
    let root = directory + "/store"
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    let backend = try FileStoreBackend(directory: root, mark: directory + "/mark.sqlite")
    try backend.start(FileStoreBackend.Handlers { _ in })
    print("a directory as a store, files of 1 kB")
    var seq: Int64 = 0
    func commit(_ count: Int, _ time: Int) {
      seq += 1
      backend.apply(
        seq: seq,
        (0..<count).map { StoreChange(key: "f\($0)", value: .bytes(text(time * 7 + $0, bytes: 1000))) })
    }
    say("  a commit of one file, written out", times: 100) { time in
      commit(1, time)
      backend.flush()
    }
    say("  a commit of 100 files, written out", times: 5) { time in
      commit(100, time)
      backend.flush()
    }
    say("  10,000 commits of one file in a row, the last written out") {
      for time in 0..<10_000 { commit(1, time) }
      backend.flush()
    }
    backend.stop()
  }

  // MARK: Support

  private static func text(_ seed: Int, bytes: Int) -> [UInt8] {
    var random = SplitMix64(seed: UInt64(seed))
    return (0..<bytes).map { _ in UInt8.random(in: 32..<127, using: &random) }
  }

  private static func say(_ what: String, times: Int = 1, _ body: (Int) throws -> Void) rethrows {
    var spans: [Double] = []
    for time in 0..<times {
      let start = ContinuousClock.now
      try body(time)
      spans.append((ContinuousClock.now - start) / .milliseconds(1))
    }
    spans.sort()
    let most = times > 1 ? String(format: ", at most %.1f", spans.last!) : ""
    print("\(what): \(String(format: "%.1f ms", spans[times / 2]))\(most)")
  }

  private static func say(_ what: String, _ body: () throws -> Void) rethrows {
    try say(what, times: 1) { _ in try body() }
  }

  /// Bytes that the process has in memory.
  private static func memory() -> Int {
    let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ")
    return (pages.flatMap { Int($0[1]) } ?? 0) * 4096
  }
}
