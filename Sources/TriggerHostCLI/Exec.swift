import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost
import TriggerRuntime

struct Exec: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exec", abstract: "Run one trigger once with an event, and print what it would change.",
    discussion: """
      The scripts around it are loaded like a host does, so require works. Nothing is kept, except with \
      --commit; exits with 1 when the trigger fails.

        trigger-host exec examples/market/triggers/indicators.lua \\
            --event '{"symbol": "EURUSD", "close": 1.07}' --trace
        trigger-host exec triggers/rsi.lua --event @bar.json \\
            --stores '{"charts": {"EURUSD": {"closes": []}}}'

      On what a host has kept (--data), newest or as of any seq:

        trigger-host exec --data data --seq 812               # seq 812 again
        trigger-host exec strategy.lua --data data --seq 812  # another script on it
        trigger-host exec report --data data --at 1000        # after seq 1000
        trigger-host exec report --data data --scripts triggers --commit

      With --data, limits, strict_stores and stores are those of --config, else of the host.yaml beside the script's \
      tree, else of the host.yaml here, also with --scripts. Without any of them the usual limits hold, and the \
      stores are those that were written.
      """)

  @Argument(
    help: "The trigger's file, or its name: below --scripts, or among the scripts in force at that seq.",
    completion: .file(extensions: ["lua"]))
  var script: String?
  @Option(help: "The event as JSON, or @FILE. Default: {}, or that of --seq.") var event: String?
  @Option(help: "Name of the event, ctx.event_name in the script. Default: exec, or that of --seq.")
  var name: String?
  @Option(help: "Content of the stores as JSON, {store: {key: value}}, or @FILE.") var stores: String?
  @Option(help: "Run on the stores of this data directory, as of its newest seq.", completion: .directory)
  var data: String?
  @Option(help: "Run on the state right after this seq.") var at: Int64?
  @Option(help: "Take event, clock, random seed and state of this seq, and its script by default.")
  var seq: Int64?
  @Flag(help: "With --data: let a host take the event, and keep what comes of it.") var commit = false
  @Flag(help: "Print each line that runs, and what it changed, to standard error.") var trace = false
  @OptionGroup var project: ProjectOptions
  @Flag(
    help: "Print one JSON object: trigger, outcome, code, error, intents, reads, log; at or seq with --data.")
  var json = false

  func validate() throws {
    if data == nil {
      for (option, isGiven) in [("--at", at != nil), ("--seq", seq != nil), ("--commit", commit)]
      where isGiven {
        throw ValidationError("\(option) needs --data DIR, the directory of the host's log")
      }
    }
    if data != nil, stores != nil { throw ValidationError("--stores and --data exclude each other") }
    if let seq, seq < 1 { throw ValidationError("seqs count from 1, got \(seq)") }
    if let at, at < 0 {
      throw ValidationError("--at is a seq, or 0 for the state before the first, got \(at)")
    }
    if script == nil, seq == nil { throw ValidationError("Say which script to run, or --seq N with --data.") }
    guard commit else { return }
    if at != nil || seq != nil {
      throw ValidationError(
        "--commit adds to the end of the log, and \(at != nil ? "--at" : "--seq") names the past: leave one of them out"
      )
    }
    if trace {
      throw ValidationError("--commit runs like a host does, which traces nothing: leave --trace out")
    }
  }

  func run() async throws {
    if commit { return try await commitEvent() }
    let trial = try prepare()
    guard let result = trial.replayer.execute(trial.trial, of: trial.scripts, traced: trace) else {
      preconditionFailure("\(trial.trial.trigger) was found and is not there")
    }
    if trace { TraceOutput(trial.scripts, trial.places).show(result) }
    let execution = Execution(
      trial.trial.trigger, result, on: data == nil ? nil : trial.seq, scripts: trial.places)
    try execution.show(asJSON: json)
    if result.outcome != .committed { throw ExitCode(1) }
  }

  // MARK: What to run

  /// The configuration, and the script's path in its tree.
  func locate(_ script: String) throws -> (config: HostConfig, path: String) {
    var isDirectory: ObjCBool = false
    let isFile = FileManager.default.fileExists(atPath: script, isDirectory: &isDirectory)
    if isDirectory.boolValue, project.scripts == nil, project.config == nil {
      throw ValidationError("\(script) is a directory: name one script in it")
    }
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
    // Without one, what a host has kept has those of the host here.
    let isBeside =
      place.map { FileManager.default.fileExists(atPath: FilePath.join($0, "host.yaml")) } ?? false
    if data != nil, options.config == nil, !isBeside { options.config = HostConfig.fileHere }
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

  /// The trigger at a path or of a name. Problems of other scripts do not matter.
  func trigger(_ path: String, _ config: HostConfig) throws -> (name: String, tree: ScriptTree) {
    let scripts = Scripts(config)
    guard scripts.isComplete else {
      for finding in scripts.findings where finding.isError { Output.say(finding) }
      throw ExitCode(1)
    }
    let tree = scripts.tree
    let file = path.hasSuffix(".lua") ? path : "\(path).lua"
    guard let trigger = tree.triggers.first(where: { $0.path == file || $0.name == path }) else {
      try reportBroken(file, tree, config)
      let whole = FilePath.join(config.scripts.resolved, file)
      if tree.files[file] != nil { throw ValidationError("\(whole) is a module or a test, not a trigger") }
      let hint = Suggestion.clause(for: String(file.dropLast(4)), among: tree.triggers.map(\.name))
      throw ValidationError("no trigger '\(path)' in \(config.scripts.resolved)\(hint)")
    }
    return (trigger.name, tree)
  }

  /// Ends the command when the script, or a module that it loads, has a mistake.
  private func reportBroken(_ file: String, _ tree: ScriptTree, _ config: HostConfig) throws {
    guard tree.files[file] != nil else { return }
    // Of the script itself, or of a module: then its traceback has the script's line.
    let problems = tree.problems.filter { problem in
      problem.severity == .error
        && (problem.description.hasPrefix("\(file):") || problem.description.contains("\t\(file):"))
    }
    if problems.isEmpty { return }
    for problem in problems { Output.say(Finding(problem, in: config.scripts.resolved)) }
    throw ExitCode(1)
  }

  func initialStores(_ config: HostConfig) throws -> [String: Value.Map] {
    var contents = config.emptyStores
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
  static func json(_ text: String, _ option: String) throws -> Value {
    let text = try textOrFile(text, option)
    do { return try JSON.parse(text) } catch { throw ValidationError("\(option): \(error)") }
  }
}
