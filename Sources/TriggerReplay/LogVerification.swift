import TriggerHost

/// Everything that can be said of a log without running anything, whatever keeps it.
public struct LogVerification: Sendable {
  /// What was found, in the order it was looked at; empty: intact.
  public private(set) var damages: [DirectoryDamage] = []
  /// Records that are intact.
  public private(set) var records: Int64 = 0
  /// The first seq among them; 0: none.
  public private(set) var first: Int64 = 0
  /// The last.
  public private(set) var last: Int64 = 0
  /// Of the stores as of the last; nil when they could not be put together.
  package private(set) var digests: StateDigests?
  private var hasAllRecords = true
  private let path: String

  /// Looks at everything that is kept. O(its bytes). What cannot be read is a damage as well.
  ///
  /// - Parameter file: what was found in the file that the log is in.
  package init(_ reader: LogReader, after file: [DirectoryDamage] = []) {
    (path, damages) = (reader.path, file)
    for check in Self.checks {
      do { try check.run(reader, &self) } catch { add(check.name, "\(error)") }
    }
  }

  /// One kind of thing that is kept.
  private struct Check {
    var name: String
    var run: @Sendable (LogReader, inout LogVerification) throws -> Void
  }

  /// In this order. What throws for damage ends its own check only.
  private static let checks = [
    Check(name: "records", run: checkRecords),
    Check(name: "checkpoints", run: checkCheckpoints),
    Check(name: "script trees", run: checkTrees),
    Check(name: "accepted events", run: checkInbox),
    Check(name: "keys of senders", run: checkKeys),
    Check(name: "epochs", run: checkEpochs),
    Check(name: "the stores", run: checkStores),
  ]

  private mutating func add(_ place: String, _ what: String) {
    damages.append(DirectoryDamage(place, what, in: path))
  }

  // MARK: Checks

  private static func checkRecords(_ reader: LogReader, _ found: inout LogVerification) throws {
    // Whoever looks at trees says why they cannot be read.
    let trees = (try? reader.source.scriptTrees()).map { Set($0.map(\.identity.number)).union([0]) }
    var missing: Set<Int> = []
    var sequence = BlockSequence?.none
    for block in try heads(reader) {
      let place = "the block of seqs \(block.first) to \(block.last)"
      var (seqs, isDamaged) = (ClosedRange<Int64>?.none, false)
      do {
        try reader.visitViews(of: block) { view in
          let record = try LogRecord(view)
          // One that has come since then is none that is missing.
          if let trees, !trees.contains(record.tree), missing.insert(record.tree).inserted,
            try reader.tree(record.tree) == nil
          {
            found.add("script tree \(record.tree)", "it is missing, and seq \(view.seq) ran with it")
          }
          found.note(view.seq)
        }
      } catch {
        (seqs, isDamaged) = (reader.seqs(of: block), true)
        found.add(block: place, "\(error)")
      }
      if sequence == nil {
        sequence = BlockSequence(after: try reader.start(of: block))
        let first = min(block.first, seqs?.lowerBound ?? block.first)
        if let problem = try reader.problem(ofBeginning: first) { found.add("the log", problem) }
      }
      switch sequence?.add(block, seqs: seqs, isDamaged: isDamaged) {
      case .missing(let seqs)?:
        found.add(block: "the log", SeqText.missing(seqs.lowerBound, seqs.upperBound))
      case .damage(let problem)?: found.add(block: place, problem)
      case nil: break
      }
    }
  }

  /// All of them at once: no old state of the log is held open while records are looked at.
  private static func heads(_ reader: LogReader) throws -> [LogBlock] {
    var found: [LogBlock] = []
    try reader.source.visitHeads(after: .min) { head, _ in
      found.append(head)
      return true
    }
    return found
  }

  private mutating func add(block place: String, _ what: String) {
    hasAllRecords = false
    add(place, what)
  }

  private mutating func note(_ seq: Int64) {
    if records == 0 { first = seq }
    (records, last) = (records + 1, seq)
  }

  private static func checkCheckpoints(_ reader: LogReader, _ found: inout LogVerification) throws {
    for checkpoint in try reader.checkpoints() {
      do { _ = try reader.check(checkpoint) } catch let damage as CheckpointDamage {
        if try reader.isKept(checkpoint) { found.add("checkpoint \(checkpoint.id)", "\(damage)") }
      }
    }
  }

  private static func checkTrees(_ reader: LogReader, _ found: inout LogVerification) throws {
    for tree in try reader.source.scriptTrees() {
      let number = tree.identity.number
      do {
        let files = try reader.tree(number)?.files ?? [:]
        for path in tree.changed where files[path] == nil {
          found.add("script tree \(number)", "the content of \(path) is not there")
        }
      } catch { found.add("script tree \(number)", "\(error)") }
    }
  }

  private static func checkInbox(_ reader: LogReader, _ found: inout LogVerification) throws {
    try reader.visitInboxRows { id, event in
      if event == nil {
        found.add("the accepted event \(id.epoch)-\(id.number)", "its checksum does not fit, or its number")
      }
    }
  }

  private static func checkKeys(_ reader: LogReader, _ found: inout LogVerification) throws {
    try reader.visitDamagedKeyParts { number, what in
      found.add("part \(number) of the keys of senders", what)
    }
  }

  /// Whether all of it gives the state that was committed. Damaged records give none.
  private static func checkStores(_ reader: LogReader, _ found: inout LogVerification) throws {
    guard found.hasAllRecords else { return }
    let state = try StateVerification(reader)
    for damage in state.damages { found.add(damage.place, damage.what) }
    found.digests = state.digests
  }

  private static func checkEpochs(_ reader: LogReader, _ found: inout LogVerification) throws {
    var newest: Int64 = 0
    for epoch in try reader.epochs() {
      if epoch.number <= newest { found.add("epoch \(epoch.number)", "it follows epoch \(newest)") }
      newest = epoch.number
    }
  }
}
