import ArgumentParser
import Foundation
import HostConfig
import Synchronization
import TriggerCore
import TriggerHost

struct Exec: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exec", abstract: "Run one trigger once with an event, and print what it would change.",
    discussion: """
      The scripts around it are loaded like a host does, so require works. Nothing is kept; exits with 1
      when the trigger fails.

        trigger-host exec examples/market/triggers/indicators.lua \\
            --event '{"symbol": "EURUSD", "close": 1.07}'
        trigger-host exec triggers/rsi.lua --event @bar.json --stores '{"charts": {"EURUSD": {"closes": []}}}'
      """)

  @Argument(help: "The trigger's file, or its name below --scripts.", completion: .file(extensions: ["lua"]))
  var script: String
  @Option(help: "The event as JSON, or @FILE.") var event = "{}"
  @Option(help: "Name of the event, ctx.event_name in the script.") var name = "exec"
  @Option(help: "Content of the stores as JSON, {store: {key: value}}, or @FILE.") var stores: String?
  @OptionGroup var project: ProjectOptions
  @Flag(help: "Print one JSON object: outcome, error, intents, reads, log.") var json = false

  func run() async throws {
    let payload = try Self.json(event, "--event")
    let (config, path) = try locate()
    let trigger = try trigger(path, config)
    let log = MemoryCommitLog(wantsReads: true)
    let coordinator = CommitCoordinator(try EngineConfiguration(config, workers: 1), log: log)
    for (store, content) in try initialStores(config) {
      try coordinator.register(VersionedStore(store, backend: MemoryStoreBackend(content)))
    }
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: trigger.tree)
    let lines = Mutex<[ExecutionLog]>([])
    queue.observe { _, logs in lines.withLock { $0 += logs } }
    queue.start()
    _ = try await queue.enqueue(Event(name, payload), toTrigger: trigger.name)
    await queue.waitUntilIdle()
    queue.stop()
    guard let record = log.all.last else { preconditionFailure("the engine decided nothing") }
    try Execution(record: record, logs: lines.withLock { $0 }).show(asJSON: json)
    if record.outcome != .committed { throw ExitCode(1) }
  }

  // MARK: What to run

  /// The configuration, and the script's path in its tree.
  private func locate() throws -> (config: HostConfig, path: String) {
    let isFile = FileManager.default.fileExists(atPath: script)
    var options = project
    var place: String?
    if options.config == nil, options.scripts == nil, isFile || script.contains("/") {
      let root = treeRoot(of: script)
      // In a tree, a misspelt name gets a suggestion.
      let isInTree = FilePath.lastName(of: root) == "triggers" && FileManager.default.fileExists(atPath: root)
      guard isFile || isInTree || FileManager.default.fileExists(atPath: "\(script).lua") else {
        throw ValidationError("\(script): no such file")
      }
      options.scripts = root
      // A host.yaml beside the tree knows its stores and limits.
      place = FilePath.parent(of: root)
    }
    guard let loaded = options.load(in: place) else {
      throw ValidationError(
        "\(script): no such file; give the script's path, or its name with --scripts DIR or --config FILE")
    }
    try report(loaded.report)
    return (loaded.config, relative(script, to: loaded.config.scripts.resolved))
  }

  /// The nearest directory above that is called `triggers`, or the script's own.
  private func treeRoot(of script: String) -> String {
    let own = FilePath.parent(of: script)
    var directory = own
    while ![".", "..", "/"].contains(FilePath.lastName(of: directory)) {
      if FilePath.lastName(of: directory) == "triggers" { return directory }
      directory = FilePath.parent(of: directory)
    }
    return own
  }

  private func relative(_ path: String, to root: String) -> String {
    func parts(_ path: String) -> [String] { URL(fileURLWithPath: path).standardized.pathComponents }
    let (path, whole, root) = (path, parts(path), parts(root))
    guard whole.starts(with: root), whole.count > root.count else { return path }
    return whole.dropFirst(root.count).joined(separator: "/")
  }

  /// The trigger at a path or of a name, in a tree where nothing else is bound to anything: what this one
  /// emits and commits must not start others. Problems of other scripts do not matter.
  private func trigger(_ path: String, _ config: HostConfig) throws -> (name: String, tree: ScriptTree) {
    let scripts = Scripts(config)
    guard scripts.isComplete else {
      for finding in scripts.findings where finding.isError { printError(finding.text) }
      throw ExitCode(1)
    }
    var tree = scripts.tree
    let file = path.hasSuffix(".lua") ? path : "\(path).lua"
    guard var trigger = tree.triggers.first(where: { $0.path == file || $0.name == path }) else {
      try reportBroken(file, tree, config)
      let whole = FilePath.join(config.scripts.resolved, file)
      if tree.files[file] != nil { throw ValidationError("\(whole) is a module or a test, not a trigger") }
      let hint = Suggestion.clause(for: String(file.dropLast(4)), among: tree.triggers.map(\.name))
      throw ValidationError("no trigger '\(path)' in \(config.scripts.resolved)\(hint)")
    }
    trigger.options.on = []
    trigger.options.debounce = nil
    trigger.options.throttle = nil
    tree.triggers = [trigger]
    return (trigger.name, tree)
  }

  /// Ends the command when the script, or a module that it loads, has a mistake.
  private func reportBroken(_ file: String, _ tree: ScriptTree, _ config: HostConfig) throws {
    guard tree.files[file] != nil else { return }
    // The script itself, or a module: then its traceback has the script's line.
    let problem = tree.problems.first { problem in
      problem.severity == .error
        && (problem.description.hasPrefix("\(file):") || problem.description.contains("\t\(file):"))
    }
    guard let problem else { return }
    printError(Finding(problem, in: config.scripts.resolved).text)
    throw ExitCode(1)
  }

  private func initialStores(_ config: HostConfig) throws -> [String: [String: Value]] {
    var contents = config.stores.mapValues { _ in [String: Value]() }
    guard let stores else { return contents }
    guard case .map(let given) = try Self.json(stores, "--stores") else {
      throw ValidationError("--stores: expected {store: {key: value}}")
    }
    for (name, value) in given {
      guard case .map(let content) = value else {
        throw ValidationError("--stores: store '\(name)': expected {key: value}, got \(value)")
      }
      guard contents[name] != nil || !config.strictStores else {
        let hint = Suggestion.clause(for: name, among: config.stores.keys.sorted())
        throw ValidationError("--stores: the configuration has no store '\(name)'\(hint)")
      }
      contents[name] = content
    }
    return contents
  }

  /// JSON from the command line, or from `@FILE`.
  private static func json(_ text: String, _ option: String) throws -> Value {
    var text = text
    if text.hasPrefix("@") {
      let path = String(text.dropFirst())
      guard let content = try? String(contentsOfFile: path, encoding: .utf8) else {
        throw ValidationError("\(option): cannot read \(path)")
      }
      text = content
    }
    do { return try JSON.parse(text) } catch { throw ValidationError("\(option): \(error)") }
  }
}

/// What one run of a trigger came to.
struct Execution {
  var record: LogRecord
  var logs: [ExecutionLog]

  func show(asJSON: Bool) throws {
    if asJSON { return print(try JSON.text(value)) }
    for line in logs { print("log    \(line.level): \(line.message)\(line.fieldsText)  (\(line.place))") }
    for intent in record.intents {
      let target = ([intent.store] + [String(decoding: intent.key, as: UTF8.self)]).filter { !$0.isEmpty }
      let kind = intent.kind.padding(toLength: 7, withPad: " ", startingAt: 0)
      let content = Self.decode(intent.value).map { " = \($0)" } ?? ""
      print("\(kind)\(target.joined(separator: "/"))\(content)")
    }
    if let error = record.error { printError(error) }
    let noun = record.intents.count == 1 ? "intent" : "intents"
    print("\(record.trigger): \(record.outcome), \(record.intents.count) \(noun)")
  }

  private var value: Value {
    [
      "trigger": .string(record.trigger), "outcome": .string("\(record.outcome)"),
      "error": record.error.map { .string($0) } ?? .null,
      "intents": .array(
        record.intents.map { intent in
          var fields: [String: Value] = [
            "kind": .string(intent.kind), "key": .string(String(decoding: intent.key, as: UTF8.self)),
          ]
          if !intent.store.isEmpty { fields["store"] = .string(intent.store) }
          if let value = Self.decode(intent.value) { fields["value"] = value }
          return .map(fields)
        }),
      "reads": .array(record.reads.map { .string($0) }),
      "log": .array(
        logs.map {
          [
            "level": .string($0.level), "message": .string($0.message), "fields": $0.fields ?? .null,
            "place": .string($0.place),
          ]
        }),
    ]
  }

  private static func decode(_ bytes: [UInt8]) -> Value? {
    bytes.isEmpty ? nil : try? bytes.withUnsafeBytes { try CanonicalEncoding.decode($0) }
  }
}
