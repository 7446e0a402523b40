import ArgumentParser
import HostConfig
import TriggerCore
import TriggerHost
import TriggerReplay
import TriggerRuntime
import TriggerSQLite

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
    var defaults = config.map { TriggerOptions($0) } ?? TriggerOptions()
    // Scripts that ran are what they were.
    defaults.ceilings = nil
    self.defaults = defaults
  }

  /// A script tree that was in force; nil when there is none of the number.
  func tree(_ number: Int) throws -> ScriptTree? {
    guard let (identity, files) = try reader.tree(number) else { return nil }
    var tree = ScriptTree(files: files, defaults: defaults)
    tree.identity = identity
    return tree
  }

  /// The number of the script tree that was in force at a seq, of the first one before any; 0 when there was
  /// none.
  func treeInForce(at seq: Int64) throws -> Int {
    // Records of Swift triggers do not say it: look back, further each time.
    var (to, count, tree) = (seq, Int64(64), 0)
    while to > 0, tree == 0 {
      let from = max(1, to - count + 1)
      try reader.visitViews(from: from, to: to) { if $0.tree > 0 { tree = $0.tree } }
      (to, count) = (from - 1, count * 4)
    }
    if tree == 0 {
      try visitViews(from: seq + 1, to: .max) { record in
        tree = record.tree
        return tree == 0
      }
    }
    return tree
  }

  /// Checks that a seq somebody asked for is there.
  ///
  /// - Throws: `ExitCode` when it is not, which has been said.
  func require(_ seq: Int64?) throws {
    guard let seq, seq > last else { return }
    Output.problem("seq \(seq) is not there: the log \(last == 0 ? "is empty" : "ends at seq \(last)")")
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
  ///
  /// - Parameter config: its limits and stores; nil: the usual limits, and the stores that were written.
  func state(at seq: Int64, config: HostConfig? = nil) throws -> Replayer {
    let configuration = try EngineConfiguration(limitsOf: config)
    let past = try PastHost(reader, to: seq, stores: config?.emptyStores ?? [:], configuration)
    for damage in reader.damaged { Output.problem("\(damage); an older one and the log served") }
    return Replayer(past.coordinator, past.recovery, configuration: configuration, scripts: tree)
  }

  /// The records of seqs `from` to `to`, in order, where they lie, until `body` returns false.
  func visitViews(from: Int64, to: Int64, while body: (RecordView) throws -> Bool) throws {
    do {
      try reader.visitViews(from: from, to: to) { record in
        guard try body(record) else { throw Enough() }
      }
    } catch is Enough {}
  }

  /// The records from a seq on that have come since the last call, until `body` returns false.
  ///
  /// - Parameter end: where the last block ended that was read. It moves on; nil before the first.
  /// - Throws: `LogFailure.lostTail` when the log is another one since then.
  func visitNewViews(
    after end: inout LogPosition?, from: Int64, to: Int64, while body: (RecordView) throws -> Bool
  ) throws {
    func visit(_ record: RecordView) throws {
      guard try body(record) else { throw Enough() }
    }
    do {
      guard var known = end else { return try reader.visitViews(from: from, to: to, reading: &end, visit) }
      defer { end = known }
      guard try reader.hasMore(after: known) else { return }
      try reader.visitViews(after: &known) { if $0.seq <= to { try visit($0) } }
    } catch is Enough {}
  }

  /// Checks that what is read is still the log in its place.
  ///
  /// - Throws: `LogFailure.lostTail`.
  func requirePlace(readUpTo seq: Int64) throws {
    guard reader.source.isReplaced else { return }
    throw LogFailure.lostTail(
      "\(reader.path): the log was removed, moved or replaced while it was read, up to seq \(seq)")
  }

  /// The first seq to execute: the given one, or the first that can be.
  ///
  /// - Throws: `ExitCode` when the given one cannot be, which has been said.
  func first(_ wanted: Int64?) throws -> Int64 {
    let first = try reader.firstExecutable()
    guard let wanted else { return first }
    try require(wanted)
    guard wanted >= first else {
      Output.problem(
        "seq \(wanted) cannot be executed again: the first state that is kept is the one before seq \(first)")
      throw ExitCode(1)
    }
    return wanted
  }

  /// How the machines that wrote the log differ from this one, in lines for people.
  func environmentNotes() throws -> [String] {
    var notes: [String] = []
    for epoch in try reader.epochs() where epoch.versions != EnvironmentVersions.text {
      if notes.count == 3 { return notes + ["..."] }
      notes.append(
        "epoch \(epoch.number) (\(Timestamp(nanoseconds: epoch.started))) ran with \(epoch.versions), here it is \(EnvironmentVersions.text)"
      )
    }
    return notes
  }

  private struct Enough: Error {}
}

extension EngineConfiguration {
  /// Limits as a configuration has them, the usual ones without.
  init(limitsOf config: HostConfig?) throws {
    if let config { try self.init(config, workers: nil) } else { self.init() }
  }
}

extension WhatIfError: ExpectedFailure {}
