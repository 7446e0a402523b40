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
    let (config, path) = try locate()
    let tree = try loadTree(config)
    guard let trigger = tree.triggers.first(where: { $0.path == path || $0.name == path }) else {
      let hint = Suggestion.clause(for: path, among: tree.triggers.map(\.name))
      throw ValidationError("no trigger '\(path)' in \(config.scripts.text)\(hint)")
    }
    let log = MemoryCommitLog(wantsReads: true)
    var settings = try EngineConfiguration(config, workers: 1)
    settings.workers = 1
    let coordinator = CommitCoordinator(settings, log: log)
    for (store, content) in try initialStores(config) {
      try coordinator.register(VersionedStore(store, backend: MemoryStoreBackend(content)))
    }
    let queue = TriggerQueue(coordinator)
    // Bound to nothing: what it emits and commits must not start others.
    var alone = tree
    alone.triggers = [trigger]
    alone.triggers[0].options.on = []
    alone.triggers[0].options.debounce = nil
    alone.triggers[0].options.throttle = nil
    queue.bind([], scripts: alone)
    let lines = Mutex<[ExecutionLog]>([])
    queue.observe { _, logs in lines.withLock { $0 += logs } }
    queue.start()
    let payload = try Self.json(event, "--event")
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
    if let loaded = project.load() {
      try report(loaded.report)
      return (loaded.config, relative(script, to: loaded.config.scripts.resolved))
    }
    guard FileManager.default.fileExists(atPath: script) else {
      throw ValidationError("\(script): no such file; give the script's path, or its name with --scripts DIR")
    }
    let root = treeRoot(of: script)
    // A host.yaml beside the tree knows its stores and limits.
    let parent = (root as NSString).deletingLastPathComponent
    var options = project
    options.scripts = root
    guard let loaded = options.load(in: parent.isEmpty ? "." : parent) else {
      throw ValidationError("\(script): cannot find its scripts directory; say --scripts DIR")
    }
    try report(loaded.report)
    return (loaded.config, relative(script, to: root))
  }

  /// The nearest directory above that is called `triggers`, or the script's own.
  private func treeRoot(of script: String) -> String {
    var directory = (script as NSString).deletingLastPathComponent
    let own = directory.isEmpty ? "." : directory
    while !directory.isEmpty, directory != "/" {
      if (directory as NSString).lastPathComponent == "triggers" { return directory }
      directory = (directory as NSString).deletingLastPathComponent
    }
    return own
  }

  private func relative(_ path: String, to root: String) -> String {
    let prefix = root.hasSuffix("/") ? root : root + "/"
    return path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : path
  }

  /// Problems of other scripts do not matter here, unless this one is missing for it.
  private func loadTree(_ config: HostConfig) throws -> ScriptTree {
    let directory = ScriptDirectory.read(config.scripts.resolved, name: config.scripts.text)
    try report(directory.report)
    let files = Dictionary(uniqueKeysWithValues: directory.files.map { ($0.path, $0.bytes) })
    let tree = ScriptTree(files: files, defaults: TriggerOptions(config))
    let wanted = relative(script, to: config.scripts.resolved)
    let own = tree.problems.filter { $0.severity == .error && $0.description.hasPrefix("\(wanted):") }
    for problem in own { printError("\(config.scripts.text)/\(problem)") }
    if !own.isEmpty { throw ExitCode(1) }
    return tree
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
    for line in logs { print("log    \(line.level): \(line.message)  (\(line.place))") }
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
          ["level": .string($0.level), "message": .string($0.message), "place": .string($0.place)]
        }),
    ]
  }

  private static func decode(_ bytes: [UInt8]) -> Value? {
    bytes.isEmpty ? nil : try? bytes.withUnsafeBytes { try CanonicalEncoding.decode($0) }
  }
}
