import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost
import TriggerReplay
import TriggerRuntime

/// What `exec` runs, and on what.
extension Exec {
  struct Prepared {
    var trial: Replayer.Trial
    var scripts: ScriptTree
    /// Where they are; nil: in the log.
    var places: ScriptPlaces?
    var replayer: Replayer
    /// The state's seq.
    var seq: Int64
  }

  func prepare() throws -> Prepared {
    guard let data else { return try prepareAlone() }
    // Recorded scripts run as they would here now; files bring a configuration of their own.
    let here = namesFiles ? nil : try HostConfig.ofKeptData(nil)
    let history = try History(data, config: here)
    try history.require(seq)
    try history.require(at)
    let record = try seq.map { try recorded($0, history) }
    let place = at ?? seq.map { $0 - 1 } ?? history.last
    let (name, scripts, config) = try scripts(history, record, at: place)
    let replayer = try history.state(at: place, config: config ?? here)
    let trial = try trial(name, record, clock: try clock(history, record))
    let places = config.map { ScriptPlaces(root: $0.scripts.resolved) }
    return Prepared(trial: trial, scripts: scripts, places: places, replayer: replayer, seq: place)
  }

  /// Without a data directory: on the stores of the command line.
  private func prepareAlone() throws -> Prepared {
    let trial = try trial("", nil, clock: SystemClock().now())
    let (config, path) = try locate(script!)
    let (name, scripts) = try trigger(path, config)
    let configuration = try EngineConfiguration(limitsOf: config)
    let past = try PastHost(nil, stores: try initialStores(config), configuration)
    let replayer = Replayer(past.coordinator, past.recovery, configuration: configuration)
    var named = trial
    named.trigger = name
    let places = ScriptPlaces(root: config.scripts.resolved)
    return Prepared(trial: named, scripts: scripts, places: places, replayer: replayer, seq: 0)
  }

  private func recorded(_ seq: Int64, _ history: History) throws -> LogRecord {
    guard let record = try history.record(seq) else {
      Output.problem(
        "seq \(seq) is not kept any more: the log begins with seq \(try history.reader.firstSeq())")
      throw ExitCode(1)
    }
    return record
  }

  /// Event, clock and identity: of the record when its trigger runs, else as given.
  private func trial(_ name: String, _ record: LogRecord?, clock: Int64) throws -> Replayer.Trial {
    let given = try event.map { try Self.json($0, "--event") }
    if let record, record.trigger != name, given == nil {
      throw ValidationError("seq \(record.seq) ran '\(record.trigger)': say --event for '\(name)'")
    }
    var trial =
      record.map { Replayer.Trial($0) }
      ?? Replayer.Trial(trigger: name, event: "exec", payload: CanonicalEncoding.encode([:]), admitted: clock)
    trial.trigger = name
    if let given { trial.payload = CanonicalEncoding.encode(given) }
    if let event = self.name { trial.event = event }
    return trial
  }

  private func clock(_ history: History, _ record: LogRecord?) throws -> Int64 {
    if let record { return record.admitted }
    let then = try at.flatMap { $0 > 0 ? try history.record($0)?.admitted : nil }
    return then ?? SystemClock().now()
  }

  // MARK: Which script

  /// The script comes from files: the command line says where they are, or the script is one.
  private var namesFiles: Bool {
    if project.config != nil || project.scripts != nil { return true }
    return script.map { $0.contains("/") || FileManager.default.fileExists(atPath: $0) } ?? false
  }

  /// Files when the command line names some, else what was in force.
  private func scripts(
    _ history: History, _ record: LogRecord?, at place: Int64
  ) throws -> (name: String, scripts: ScriptTree, config: HostConfig?) {
    if let script, namesFiles {
      let (config, path) = try locate(script)
      let (name, tree) = try trigger(path, config)
      return (name, tree, config)
    }
    if script == nil, namesFiles { return try scriptsOfRecord(record!) }
    let number = try record.flatMap { $0.tree > 0 ? $0.tree : nil } ?? history.treeInForce(at: place)
    guard let tree = try history.tree(number) else {
      if let record { throw ValidationError("seq \(record.seq) ran '\(record.trigger)', which is no script") }
      throw ValidationError("no scripts were in force at seq \(place); name a file, or say --scripts DIR")
    }
    let wanted = script ?? record!.trigger
    let file = wanted.hasSuffix(".lua") ? wanted : "\(wanted).lua"
    guard let found = tree.triggers.first(where: { $0.name == wanted || $0.path == file }) else {
      let hint = Suggestion.clause(for: wanted, among: tree.triggers.map(\.name))
      throw ValidationError(
        "no trigger '\(wanted)' among the scripts in force at seq \(record?.seq ?? place) (tree \(number))\(hint)"
      )
    }
    return (found.name, tree, nil)
  }

  /// The record's trigger, as new files have it.
  private func scriptsOfRecord(
    _ record: LogRecord
  ) throws -> (name: String, scripts: ScriptTree, config: HostConfig?) {
    let (config, path) = try locate(record.trigger)
    let (name, tree) = try trigger(path, config)
    return (name, tree, config)
  }
}

/// The lines of a trace on standard error: what the line before has changed, then `file:line  source`.
struct TraceOutput {
  private let sources: [String: [Substring]]
  private let places: ScriptPlaces?

  /// - Parameter places: where the scripts are; nil: in the log.
  init(_ scripts: ScriptTree, _ places: ScriptPlaces?) {
    self.places = places
    sources = scripts.files.mapValues {
      String(decoding: $0, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    }
  }

  func show(_ result: Replayer.TrialResult) {
    for line in result.trace {
      if !line.changes.isEmpty { Output.problem("    \(line.changes)") }
      let lines = sources[line.path] ?? []
      let source = lines.indices.contains(line.line - 1) ? lines[line.line - 1] : ""
      Output.problem("\(places?.name(line.path) ?? line.path):\(line.line)  \(source)")
    }
    if result.isTraceCut { Output.problem("... the trace is cut after \(Replayer.traceLimit) lines") }
  }
}
