import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost
import TriggerRuntime
import TriggerServer
import TriggerSQLite

/// `trigger-host scripts log|show|diff|rollback`.
struct ScriptsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scripts",
    abstract: "Look at every script tree that was ever in force, and go back to one.",
    discussion: """
      A tree is all scripts as of one save. It is named by a seq at which it was in force, or by its own number as \
      in tree:3.

        trigger-host scripts log --data data
        trigger-host scripts show tree:3 rsi.lua --data data
        trigger-host scripts diff tree:2 tree:3 --data data
        trigger-host scripts rollback --to 1000 --data data --scripts triggers
      """,
    subcommands: [Log.self, Show.self, Diff.self, Rollback.self])

  struct Log: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print each tree: number, first seq, time, what changed.")
    @OptionGroup var kept: KeptData
    @Flag(help: "Print JSON Lines.") var json = false

    func run() throws {
      for tree in try LogReader(path: kept.path()).scriptTrees() {
        if json {
          Output.json(tree.json)
          continue
        }
        let seq = tree.seq.map { "from seq \($0)" } ?? "never used"
        Output.result("tree \(tree.identity.number)  \(seq)  \(tree.time)")
        for path in tree.changed { Output.result("    \(path)") }
        for path in tree.removed { Output.result("    \(path)  removed") }
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the files of a tree, or the content of one.")
    @Argument(help: "The tree: a seq at which it was in force, or tree:NUMBER.") var tree: String
    @Argument(help: "A file of it.") var path: String?
    @OptionGroup var kept: KeptData

    func run() throws {
      let (identity, files) = try KeptTrees(kept.path()).tree(tree)
      guard let path else {
        for path in files.keys.sorted() { Output.result("\(path)  \(sizeText(files[path]!.count))") }
        return
      }
      guard let bytes = files[path] else {
        Output.problem(
          "tree \(identity.number) has no \(path)\(Suggestion.clause(for: path, among: files.keys.sorted()))")
        throw ExitCode(1)
      }
      if isatty(STDOUT_FILENO) == 1 {
        Output.result(TerminalText(lines: String(decoding: bytes, as: UTF8.self)))
      } else {
        FileHandle.standardOutput.write(Data(bytes))
      }
    }
  }

  struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print what changed from one tree to another; coloured on a terminal.")
    @Argument(help: "The older tree: a seq at which it was in force, or tree:NUMBER.") var old: String
    @Argument(help: "The newer one. Default: the newest.") var new: String?
    @Option(help: "Only this file.") var path: String?
    @OptionGroup var kept: KeptData

    func run() throws {
      let (trees, paint) = (try KeptTrees(kept.path()), Paint())
      let (old, new) = (try trees.tree(old).files, try new.map { try trees.tree($0).files } ?? trees.newest())
      let paths = Set(old.keys).union(new.keys).sorted()
      if let path, !paths.contains(path) {
        Output.problem("neither tree has \(path)\(Suggestion.clause(for: path, among: paths))")
        throw ExitCode(1)
      }
      for path in paths where self.path == nil || self.path == path {
        if old[path] != new[path] { show(path, old[path], new[path], paint) }
      }
    }

    private func show(_ path: String, _ old: [UInt8]?, _ new: [UInt8]?, _ paint: Paint) {
      Output.result(paint.strong("--- \(old == nil ? "(none)" : path)\n+++ \(new == nil ? "(none)" : path)"))
      func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(validating: $0, as: UTF8.self) } ?? "" }
      guard let left = text(old), let right = text(new) else { return Output.result("(not text)") }
      for hunk in LineDiff(left, right).hunks() {
        Output.result(paint.faint("\(hunk.header)"))
        for line in hunk.lines {
          switch line {
          case .same(let text): Output.result(" \(text)")
          case .removed(let text): Output.result(paint.bad("-\(text)"))
          case .added(let text): Output.result(paint.good("+\(text)"))
          }
        }
      }
    }
  }

  struct Rollback: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write the files of a tree back into the scripts directory.",
      discussion: """
        A running host takes them up like any save, as a new operation; one that is started later begins with \
        them. When nothing here says where the scripts are, the host that runs with the data directory does it in \
        its own. Files that were edited and never ran are not overwritten, unless --force says so.
        """)
    @Option(help: "The tree: a seq at which it was in force, or tree:NUMBER.") var to: String
    @OptionGroup var kept: KeptData
    @OptionGroup var project: ProjectOptions
    @Flag(help: "Overwrite edits that are in no tree.") var force = false

    func run() async throws {
      let data = try kept.path()
      let tree = try KeptTrees(data).number(to)
      if let loaded = project.load() { return try write(tree, data, loaded.config.scripts.resolved) }
      guard let host = await HostClient(data: data) else {
        throw ValidationError("Say where the scripts are: --config host.yaml or --scripts DIR.")
      }
      let answer = try await host.send("POST", "/v1/scripts/\(tree)/rollback?force=\(force)")
      switch (answer.status, answer.json["directory"], answer.code) {
      case (200, .string(let directory)?, _):
        say(tree, directory, written: answer.json.count("written"), removed: answer.json.count("removed"))
      case (_, .string(let directory)?, "scripts_edited"):
        throw refusal(answer.json.texts("files"), in: directory)
      default: throw answer.refusal
      }
    }

    private func write(_ tree: Int, _ data: String, _ directory: String) throws {
      guard let rollback = try ScriptRollback(to: tree, of: LogReader(path: data), in: directory) else {
        throw ConfigProblem(file: to, message: "no such script tree: see trigger-host scripts log")
      }
      try report(rollback.report)
      guard force || rollback.edited.isEmpty else { throw refusal(rollback.edited, in: directory) }
      try rollback.make()
      say(tree, directory, written: rollback.written.count, removed: rollback.removed.count)
    }

    private func refusal(_ edited: [String], in directory: String) -> any Error {
      for path in edited { Output.problem("\(FilePath.join(directory, path)): edited, and in no tree") }
      Output.problem("Nothing was changed. Keep these files elsewhere, or give --force to overwrite them.")
      return ExitCode(1)
    }

    private func say(_ tree: Int, _ directory: String, written: Int, removed: Int) {
      Output.result(
        "\(counted(written, "file")) written, \(removed) removed: \(directory) is tree \(tree) again.")
    }
  }
}

extension Value {
  fileprivate func texts(_ name: String) -> [String] {
    guard case .array(let items)? = self[name] else { return [] }
    return items.compactMap { if case .string(let text) = $0 { text } else { nil } }
  }

  fileprivate func count(_ name: String) -> Int { texts(name).count }
}

/// Finds trees by what a user calls them.
private struct KeptTrees {
  private let reader: LogReader
  private let all: [KeptScriptTree]

  init(_ data: String) throws {
    reader = try LogReader(path: data)
    all = try reader.scriptTrees()
  }

  func tree(_ name: String) throws -> (identity: ScriptTree.Identity, files: [String: [UInt8]]) {
    guard let tree = try reader.tree(number(name)) else { throw problem(name) }
    return tree
  }

  /// The number of a tree that is there.
  func number(_ name: String) throws -> Int {
    guard let number = try look(for: name), all.contains(where: { $0.identity.number == number }) else {
      throw problem(name)
    }
    return number
  }

  private func problem(_ name: String) -> ConfigProblem {
    let known = all.last.map { "the newest is tree:\($0.identity.number)" } ?? "there is no script tree yet"
    return ConfigProblem(file: name, message: "no such script tree: \(known), see trigger-host scripts log")
  }

  /// The files of the newest tree; none when there is no tree.
  func newest() throws -> [String: [UInt8]] {
    try all.last.flatMap { try reader.tree($0.identity.number)?.files } ?? [:]
  }

  private func look(for name: String) throws -> Int? {
    if name.hasPrefix("tree:"), let number = Int(name.dropFirst(5)) { return number }
    guard let seq = Int64(name) else {
      throw ValidationError("'\(name)' names no script tree; give a seq, or a number as in tree:3")
    }
    let last = try reader.lastSeq()
    if seq > last {
      throw ConfigProblem(file: "seq \(seq)", message: "is not there: the log ends at seq \(last)")
    }
    return all.last { ($0.seq ?? .max) <= seq }?.identity.number
  }
}

extension KeptScriptTree {
  fileprivate var time: Timestamp { Timestamp(nanoseconds: identity.time) }
}
