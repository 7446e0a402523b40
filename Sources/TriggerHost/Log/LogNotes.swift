import TriggerCore

/// What a host notes beside its records: script trees, files that wait for others, since when schedules are known.
///
/// It reads what is kept, and gathers what is to be written: whoever has it writes that, as one group. One thread at a
/// time.
package final class LogNotes {
  private let source: any LogSource
  private let clock: any EngineClock
  private var jobs: [LogJob] = []
  /// Files of the newest script tree, once they were needed.
  private var newestFiles: [String: [UInt8]]?
  /// What is wrong with the newest script tree, when that was found; the next one is kept whole then.
  package var treeDamage: String?

  package init(_ source: any LogSource, clock: any EngineClock) {
    self.source = source
    self.clock = clock
  }

  /// Ends its reading.
  package func close() { source.close() }

  /// What is to be written since this was last asked for.
  package func takeJobs() -> [LogJob] {
    defer { jobs = [] }
    return jobs
  }

  // MARK: Schedules

  /// Since when a schedule is known: as of now when its rule is new, or the clock has been set back behind that.
  ///
  /// - Parameters:
  ///   - rule: any text that is the same for the same rule.
  /// - Returns: nanoseconds since 1970.
  package func since(ofSchedule name: String, rule: String) throws -> Int64 {
    let now = clock.now()
    if let known = try source.schedule(name), known.rule == rule, known.since <= now { return known.since }
    jobs.append(.schedule(name: name, rule: rule, since: now))
    return now
  }

  // MARK: Script trees

  /// Keeps a script tree and gives it its identity; the newest tree keeps its own when the files are the same.
  /// O(changed bytes) and a comparison of every path; unchanged files should share their memory with the tree
  /// before.
  ///
  /// - Parameters:
  ///   - now: nanoseconds since 1970: the clock of chunks while they load.
  ///   - seed: of `math.random` while chunks load.
  ///   - seq: the first that may use it, when no record will say so; 0 when one will.
  package func keep(
    _ files: [String: [UInt8]], now: Int64, seed: UInt64, seq: Int64 = 0
  ) throws -> ScriptTree.Identity {
    _ = try newestScripts()
    let newest = try source.newestTree()
    let (changed, removed) = Self.difference(of: files, from: newestFiles ?? [:])
    newestFiles = files
    if let newest, changed.isEmpty, removed.isEmpty {
      if seq > 0, try !isInForce() { jobs.append(.treeInForce(number: newest.number, seq: seq)) }
      return newest
    }
    let identity = ScriptTree.Identity(number: (newest?.number ?? 0) + 1, time: now, seed: seed)
    jobs.append(.tree(identity, changed: changed, removed: removed, seq: seq))
    return identity
  }

  /// What to keep of files whose tree follows another one.
  package static func difference(
    of files: [String: [UInt8]], from previous: [String: [UInt8]]
  ) -> (changed: [String: [UInt8]], removed: [String]) {
    // Unchanged files share their memory, so this does not compare their bytes.
    (files.filter { previous[$0.key] != $0.value }, previous.keys.filter { files[$0] == nil })
  }

  /// The newest tree: the one that was in force when the last host ended. Nil when there is none, or it is damaged.
  package func newestScripts() throws -> (identity: ScriptTree.Identity, files: [String: [UInt8]])? {
    guard let newest = try source.newestTree() else { return nil }
    do {
      if newestFiles == nil { newestFiles = try source.tree(newest.number)?.files }
    } catch let error as LogError {
      // A content of it is not what was written: what is there now is kept whole.
      treeDamage = "\(error)"
      newestFiles = Dictionary(
        try paths(ofTree: newest.number).map { ($0, [UInt8]("\u{0}damaged".utf8)) }, uniquingKeysWith: { $1 })
    }
    return treeDamage == nil ? newestFiles.map { (newest, $0) } : nil
  }

  private func paths(ofTree number: Int) throws -> Set<String> {
    var paths: Set<String> = []
    for tree in try source.scriptTrees() where tree.identity.number <= number {
      paths.formUnion(tree.changed)
      paths.subtract(tree.removed)
    }
    return paths
  }

  /// It is noted, or a record says, since when the newest tree is in force.
  private func isInForce() throws -> Bool {
    if try source.scriptTrees().last?.seq != nil { return true }
    return try LogReader(source).scriptTrees().last?.seq != nil
  }

  // MARK: Files that wait

  /// Says which files wait, and what was saved together with what, in the place of what was said before.
  package func note(waiting files: [ScriptReload.Waiting]) throws { jobs.append(.waiting(files)) }

  /// The files that waited when the last host ended.
  package func waitingScripts() throws -> [ScriptReload.Waiting] { try source.waitingScripts() }
}
