import TriggerCore

/// What a host notes beside its records: script trees, script files that wait, and since when it knows schedules.
///
/// `LogNotes` reads what the log keeps, and gathers jobs. Its owner takes the jobs and writes them as one group. One
/// thread at a time.
package final class LogNotes {
  private let source: any LogSource
  private let clock: any EngineClock
  private var jobs: [LogJob] = []
  /// The files of the newest script tree; nil until they are needed.
  private var newestFiles: [String: [UInt8]]?
  /// What is wrong with the newest script tree; nil while no damage was found. After damage the next tree is kept
  /// whole.
  package var treeDamage: String?

  package init(_ source: any LogSource, clock: any EngineClock) {
    self.source = source
    self.clock = clock
  }

  /// Closes the source.
  package func close() { source.close() }

  /// The jobs that were gathered since the last call.
  package func takeJobs() -> [LogJob] {
    defer { jobs = [] }
    return jobs
  }

  // MARK: Schedules

  /// Since when the host knows a schedule. This is now when the rule is new, or when the clock was set back to before
  /// the time that is kept.
  ///
  /// - Parameters:
  ///   - rule: any text that is the same for the same rule.
  /// - Returns: the time in nanoseconds since 1970.
  package func since(ofSchedule name: String, rule: String) throws -> Int64 {
    let now = clock.now()
    if let known = try source.schedule(name), known.rule == rule, known.since <= now { return known.since }
    jobs.append(.schedule(name: name, rule: rule, since: now))
    return now
  }

  // MARK: Script trees

  /// Keeps a script tree and gives it an identity. When the files are those of the newest tree, it returns the identity
  /// of that tree. O(changed bytes), and a comparison of every path. Unchanged files should share their memory with the
  /// tree before.
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

  /// The difference of a tree from the tree before: the files that are new or changed, and the paths that are gone.
  package static func difference(
    of files: [String: [UInt8]], from previous: [String: [UInt8]]
  ) -> (changed: [String: [UInt8]], removed: [String]) {
    // Unchanged files share their memory, so this does not compare their bytes.
    (files.filter { previous[$0.key] != $0.value }, previous.keys.filter { files[$0] == nil })
  }

  /// The newest tree, which was in force when the last host ended. Nil when there is none, or when it is damaged
  /// (`treeDamage`).
  package func newestScripts() throws -> (identity: ScriptTree.Identity, files: [String: [UInt8]])? {
    guard let newest = try source.newestTree() else { return nil }
    do {
      if newestFiles == nil { newestFiles = try source.tree(newest.number)?.files }
    } catch let error as LogError {
      // The content of a file is not what was written. These contents differ from all files, so `keep` keeps all.
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

  /// Notes which files wait, and which of them were saved together. Replaces the note before.
  package func note(waiting files: [ScriptReload.Waiting]) throws { jobs.append(.waiting(files)) }

  /// The files that waited when the last host ended.
  package func waitingScripts() throws -> [ScriptReload.Waiting] { try source.waitingScripts() }
}
