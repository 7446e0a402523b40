import ArgumentParser
import Foundation
import HostConfig
import Synchronization
import TriggerCore
import TriggerHost
import TriggerRuntime
import TriggerWorkshop

struct ReplCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "repl",
    abstract: "Try Lua on a snapshot: read stores, call modules, see what intents would do.",
    discussion: """
      What triggers have is there, with ctx and store "name". Nothing is ever changed: intents are shown. With \
      --data, the stores are those of a data directory, also while a host runs, and modules those of its scripts at \
      that seq, unless --config or --scripts names others. Stores that a host.yaml here declares are there too, empty \
      when nothing has written them.

        trigger-host repl --config mine/host.yaml
        trigger-host repl --data data --at 1000

        > store "charts":get "EURUSD"
        > store "charts":put("EURUSD", { closes = {} })
        > require "lib.rsi".value({ count = 14, gain = 1, loss = 1 }, 14)
        > help "store:scan"

      A local lasts for one line: leave out local to keep a value. Tab completes, arrow keys recall earlier lines, Ctrl-C ends what runs, Ctrl-D ends the session.
      """)

  @OptionGroup var project: ProjectOptions
  @Option(help: "The data directory to read. Default: empty stores.", completion: .directory) var data:
    String?
  @Option(help: "As of this seq. Default: the newest.") var at: Int64?
  @Option(help: "Content of the stores as JSON, {store: {key: value}}, or @FILE.") var stores: String?

  func validate() throws {
    if at != nil, data == nil { throw ValidationError("--at needs --data: which history?") }
    if stores != nil, data != nil { throw ValidationError("Give --stores or --data, not both.") }
    if let at, at < 0 { throw ValidationError("seqs count from 1") }
  }

  func run() throws {
    let history = try data.map { try History($0) }
    try history?.require(at)
    var snapshot = try snapshot(history)
    // The past comes with the scripts that it had, unless others are named.
    let wantsRecorded = project.config == nil && project.scripts == nil
    var tree = ScriptTree(files: [:])
    var places: ScriptPlaces?
    if let history, wantsRecorded {
      tree = try history.tree(history.treeInForce(at: snapshot.seq)) ?? tree
      if let here = try HostConfig.ofKeptData(nil) { snapshot.add(here.emptyStores) }
    } else if let loaded = projectOfData.load() {
      try report(loaded.report)
      let scripts = Scripts(loaded.config)
      for finding in scripts.findings where finding.isError { Output.say(finding) }
      tree = scripts.tree
      places = ScriptPlaces(root: loaded.config.scripts.resolved)
      snapshot.add(loaded.config.emptyStores)
    }
    let console = ReplConsole(snapshot, scripts: tree, at: places)
    if console.isTerminal { Output.result("\(greeting(snapshot))") }
    if !console.serve() { throw ExitCode(1) }
  }

  /// With a data directory, --scripts leaves the configuration here in force.
  private var projectOfData: ProjectOptions {
    var options = project
    if data != nil, options.config == nil { options.config = HostConfig.fileHere }
    return options
  }

  private func greeting(_ snapshot: Snapshot) -> String {
    let names = snapshot.stores.keys.sorted().joined(separator: ", ")
    let place = data.map { "\($0), seq \(snapshot.seq)" } ?? "empty stores"
    return "\(place). Stores: \(names.isEmpty ? "none" : names). help() says more; Ctrl-D ends."
  }

  private func snapshot(_ history: History?) throws -> Snapshot {
    guard let history else {
      return Snapshot(
        seq: 0, time: SystemClock().now(),
        stores: try given().mapValues { Snapshot.Store(version: 0, content: $0) })
    }
    let past = try PastHost(history.reader, to: at)
    let seq = past.recovery.lastSeq
    let time = at == nil ? nil : try history.record(seq)?.admitted
    return try Snapshot(past.coordinator, seq: seq, time: time ?? SystemClock().now())
  }

  private func given() throws -> [String: Value.Map] {
    guard let stores else { return [:] }
    let text = try textOrFile(stores, "--stores")
    do {
      guard case .map(let map) = try JSON.parse(text) else {
        throw ValidationError("--stores: expected {store: {key: value}}")
      }
      var given: [String: Value.Map] = [:]
      for (name, value) in map {
        guard case .map(let content) = value else {
          throw ValidationError("--stores: expected {key: value}, got \(value)")
        }
        given[name] = content
      }
      return given
    } catch let error as ValueError { throw ValidationError("--stores: \(error.message)") }
  }
}

extension Snapshot {
  /// Adds stores that are not there yet, empty.
  fileprivate mutating func add(_ declared: [String: Value.Map]) {
    for name in declared.keys where stores[name] == nil { stores[name] = Store(version: 0, content: [:]) }
  }
}

/// Reads lines, evaluates them and prints what comes of it.
private final class ReplConsole {
  private let repl: Repl
  private let input: LineInput
  private let paint = Paint()
  private let places: ScriptPlaces?

  var isTerminal: Bool { input.isTerminal }

  /// - Parameter places: where the scripts are; nil: in the log.
  init(_ snapshot: Snapshot, scripts: ScriptTree, at places: ScriptPlaces?) {
    self.places = places
    let paint = paint
    let repl = Repl(snapshot, scripts: scripts) { output in
      switch output {
      case .value(let text): Output.result("\(text)")
      case .change(let text): Output.result("\(text)\(paint.faint("  (shown, not applied)"))")
      case .log(let level, let text): Output.result("\(paint.faint("[\(level)] "))\(text)")
      case .hint(let text):
        for line in text.split(separator: "\n") { Output.problem("\(line)") }
      }
    }
    self.repl = repl
    input = LineInput(history: LineHistory(path: LineHistory.usualPath), completer: repl.completions)
    let (interrupt, restore) = (repl.interrupt, input.restore)
    SignalPipe.watch([SIGINT]) { _ in
      // At a prompt in raw mode Ctrl-C is a key; this is for what runs, and for plain input.
      if interrupt() { return }
      restore()
      _exit(130)
    }
  }

  /// Until the end of input. False when, without a terminal, something failed.
  func serve() -> Bool {
    defer { input.restore() }
    var isGood = true
    var pending = ""
    while true {
      switch input.next(pending.isEmpty ? "> " : ">> ") {
      case .endOfInput:
        if !pending.isEmpty {
          Output.problem("repl: the input ends in the middle of: \(pending)")
          isGood = false
        }
        return isGood || isTerminal
      case .abandoned: pending = ""
      case .unreadable(let fault):
        Output.problem("repl: \(fault)")
        (isGood, pending) = (false, "")
      case .text(let line):
        pending += pending.isEmpty ? line : "\n" + line
        switch repl.evaluate(pending) {
        case .incomplete: continue
        case .done: break
        case .end: return isGood || isTerminal
        case .interrupted: Output.result(paint.doubtful("interrupted"))
        case .failed(let error):
          isGood = false
          let message = places?.named(error) ?? error
          if isTerminal { Output.result(paint.bad("\(message)")) } else { Output.problem("\(message)") }
        }
        pending = ""
      }
    }
  }
}
