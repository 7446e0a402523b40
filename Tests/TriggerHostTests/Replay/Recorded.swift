import Testing
import TriggerCore
import TriggerTestKit

@testable import TriggerHost
@testable import TriggerReplay

/// What a host in memory has recorded, and the scripts it ran.
struct Recorded {
  var records: [LogRecord]
  let scripts: [String: String]
  let stores: [String: Value.Map]
  /// As the log left it.
  let contents: [String: Value.Map]

  /// Runs a host: `drive` sends it what it likes and waits.
  init(
    _ scripts: [String: String], stores: [String: Value.Map] = [:], workers: Int = 1,
    _ drive: (TestHost) async throws -> Void
  ) async throws {
    self.scripts = scripts
    self.stores = stores
    let host = try TestHost(
      scripts: scripts, stores: stores, configuration: EngineConfiguration(workers: workers))
    try await drive(host)
    await host.queue.waitUntilIdle()
    host.stop()
    records = host.log.all
    contents = try Dictionary(
      uniqueKeysWithValues: host.coordinator.storeNames.map {
        ($0, try host.coordinator.store($0).readSnapshot().value)
      })
  }

  /// Records written by hand.
  init(_ scripts: [String: String], records: [LogRecord]) {
    (self.scripts, self.records, stores, contents) = (scripts, records, [:], [:])
  }

  func tree(_ number: Int) -> ScriptTree? {
    guard number == 1 else { return nil }
    var tree = Self.tree(of: scripts)
    tree.identity = ScriptTree.Identity(number: 1, time: 1_767_225_600_000_000_000, seed: 0)
    return tree
  }

  static func tree(of scripts: [String: String]) -> ScriptTree {
    ScriptTree(files: scripts.mapValues { Array($0.utf8) })
  }

  // MARK: What if

  struct Outcome {
    var differences: [WhatIf.Difference] = []
    var summary = WhatIf.Summary()
    /// `store/key`
    var keys: [String: WhatIf.StateDifference] = [:]

    func differences(_ kind: WhatIf.Difference.Kind, _ trigger: String? = nil) -> [WhatIf.Difference] {
      differences.filter { $0.kind == kind && (trigger == nil || $0.trigger == trigger) }
    }
  }

  func whatIf(
    _ scripts: [String: String], from: Int64 = 1, newOperationsAtOnce: Int = 1000,
    configuration: EngineConfiguration = EngineConfiguration(workers: 1)
  ) throws -> Outcome {
    var outcome = Outcome()
    let whatIf = WhatIf(
      Self.tree(of: scripts), stores: stores, configuration: configuration, recorded: tree
    ) {
      outcome.differences.append($0)
    }
    whatIf.newOperationsAtOnce = newOperationsAtOnce
    for record in records {
      if record.seq < from { try whatIf.apply(record) } else { try whatIf.run(record) }
    }
    outcome.summary = whatIf.finish()
    try whatIf.visitStateDifferences { outcome.keys["\($0.store)/\($0.key)"] = $0 }
    return outcome
  }

  // MARK: Verification

  func verify(workers: Int) throws -> Verification.Verdict {
    let verification = Verification(workers: workers, stores: stores, scripts: tree)
    for record in records where try !verification.check(record) { break }
    return verification.finish()
  }
}

extension LogRecord {
  /// A record by hand: committed, of tree 1, from outside.
  init(
    seq: Int64, _ trigger: String, _ event: String, _ payload: Value = [:], outcome: Outcome = .committed,
    identity: Int64? = nil, kind: EventKind = .event, cause: Cause? = nil, hops: Int = 0,
    intents: [Intent] = [], emissions: [Emission] = []
  ) {
    self.init(
      seq: seq, identity: identity ?? seq, outcome: outcome, trigger: trigger, kind: kind, event: event,
      payload: CanonicalEncoding.encode(payload), priority: .normal, admitted: 1000, source: 0, hops: hops,
      tree: 1, cause: cause, attempts: 1, intents: intents, emissions: emissions, isKilled: false, error: nil,
      reads: [])
  }
}

extension LogRecord.Intent {
  static func put(_ store: String, _ key: String, _ value: Value) -> Self {
    Self(action: .change(.put, store), key: Array(key.utf8), value: CanonicalEncoding.encode(value))
  }
  static func emit(_ name: String, _ payload: Value) -> Self {
    Self(action: .emit, key: Array(name.utf8), value: CanonicalEncoding.encode(payload))
  }
}

extension LogRecord.Emission {
  static func event(_ name: String, _ payload: Value, to triggers: String...) -> Self {
    Self(kind: .event, name: name, payload: CanonicalEncoding.encode(payload), triggers: triggers)
  }
}
