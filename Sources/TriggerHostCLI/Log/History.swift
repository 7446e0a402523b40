import ArgumentParser
import HostConfig
import TriggerCore
import TriggerHost
import TriggerStorage

/// The log of a data directory, as the commands here read it. One thread at a time.
struct History {
  let reader: LogReader
  /// The newest seq; 0 when there is none.
  let last: Int64
  /// For what the recorded scripts leave out.
  private let defaults: TriggerOptions

  /// - Parameter config: limits as they were; nil: the usual ones.
  /// - Throws: `StorageError` when there is no log.
  init(_ path: String, config: HostConfig? = nil) throws {
    reader = try LogReader(path: path)
    last = try reader.lastSeq()
    defaults = config.map { TriggerOptions($0) } ?? TriggerOptions()
  }

  /// A script tree that was in force; nil when there is none of the number.
  func tree(_ number: Int) throws -> ScriptTree? {
    guard let (identity, files) = try reader.tree(number) else { return nil }
    var tree = ScriptTree(files: files, defaults: defaults)
    tree.identity = identity
    return tree
  }

  /// Checks that a seq somebody asked for is there.
  ///
  /// - Throws: `ExitCode` when it is not, which has been said.
  func require(_ seq: Int64?) throws {
    guard let seq, seq > last else { return }
    printError("seq \(seq) is not there: the log \(last == 0 ? "is empty" : "ends at seq \(last)")")
    throw ExitCode(1)
  }

  /// The records of seqs `from` to `to`, in order, until `body` returns false.
  func visit(from: Int64 = 1, to: Int64 = .max, while body: (LogRecord) throws -> Bool) throws {
    do {
      try reader.visit(from: from, to: to) { record in
        guard try body(record) else { throw Enough() }
      }
    } catch is Enough {}
  }

  func record(_ seq: Int64) throws -> LogRecord? {
    var found: LogRecord?
    try reader.visit(from: seq, to: seq) { found = $0 }
    return found
  }

  /// The state right after a seq.
  func state(
    at seq: Int64, configuration: EngineConfiguration = EngineConfiguration()
  ) throws -> Replayer {
    let replayer = Replayer(configuration: configuration, scripts: tree)
    try reader.visit(to: seq) { try replayer.apply($0) }
    return replayer
  }

  private struct Enough: Error {}
}

extension EngineConfiguration {
  /// Limits as a configuration has them, the usual ones without.
  init(limitsOf config: HostConfig?) throws {
    if let config { try self.init(config, workers: nil) } else { self.init() }
  }
}
