import TriggerCore

/// Reads a log and finds out whether it is what was written, also while a host writes it. One thread at a time.
package final class LogReader {
  package let source: any LogSource
  package var path: String { source.path }
  /// Checkpoints that were found damaged and passed over, newest first.
  package internal(set) var damaged: [CheckpointDamage] = []

  package init(_ source: any LogSource) { self.source = source }

  /// Ends it; nothing can be read afterwards.
  package func close() { source.close() }

  /// The newest seq; 0 when there is none.
  package func lastSeq() throws -> Int64 { try source.end().seq }

  /// The oldest seq that the log still has; 0 when it has none.
  package func firstSeq() throws -> Int64 { try source.firstSeq() }

  /// The records of seqs `from` to `to`, in order. O(bytes of their blocks), a few blocks in memory at a time.
  ///
  /// - Throws: `LogError` naming the place of damage; what `body` throws.
  package func visit(from: Int64 = 1, to: Int64 = .max, _ body: (LogRecord) throws -> Void) throws {
    try visitViews(from: from, to: to) { try body(try LogRecord($0)) }
  }

  /// Bytes of blocks that are read at a time.
  private static let bytesAtOnce = 4 << 20

  /// As above, without a copy of each; a view is valid during its call.
  ///
  /// Blocks are read a few at a time, so that no old state of the log is held open while `body` takes its time: a host
  /// that writes could not empty its write-ahead log meanwhile.
  package func visitViews(from: Int64 = 1, to: Int64 = .max, _ body: (RecordView) throws -> Void) throws {
    var end = LogPosition?.none
    try visitBlocks(from: from, to: to, after: &end, body)
  }

  /// The records after a position, in order, as far as there are any: how whoever follows a log goes on.
  ///
  /// - Parameter end: where the last block ended that was read; goes on with each. Without a chain nothing is said of
  ///   what was before.
  /// - Throws: as above; also when the next block is not one that was written after that position.
  package func visitViews(after end: inout LogPosition, _ body: (RecordView) throws -> Void) throws {
    var known = end.chain == 0 && end.seq > 0 ? nil : end
    defer { end = known ?? end }
    try visitBlocks(from: end.seq + 1, to: .max, after: &known, body)
  }

  /// - Parameter before: where the block before ended; nil when that is not known.
  private func visitBlocks(
    from: Int64, to: Int64, after before: inout LogPosition?, _ body: (RecordView) throws -> Void
  ) throws {
    var (next, wasMissing) = (from, false)
    while next <= to {
      let blocks = try source.blocks(after: next - 1, through: to, bytes: Self.bytesAtOnce)
      for block in blocks {
        if before != nil, block.first != next { throw try missing(next, block.first - 1) }
        try check(block, after: before)
        try visit(block) { record in if record.seq >= from, record.seq <= to { try body(record) } }
        (next, before) = (block.last + 1, block.end)
      }
      if !blocks.isEmpty {
        wasMissing = false
        continue
      }
      // A damaged page may end the rows before the last, without a word of SQLite's. Or a block has come since the
      // first question, which is asked again then.
      let last = try lastSeq()
      if last < next { return }
      if wasMissing { throw try missing(next, min(last, to)) }
      wasMissing = true
    }
  }

  private func missing(_ first: Int64, _ last: Int64) throws -> LogError {
    let reason =
      try firstSeq() > first ? "were let go while they were read (log.retain)" : "are missing from the log"
    return LogError("\(path): seqs \(first) to \(last) \(reason)")
  }

  /// The block is the one that was written there, as far as that can be told.
  private func check(_ block: LogBlock, after end: LogPosition?) throws {
    guard let end = try end ?? start(of: block), let problem = block.problem(after: end) else { return }
    throw damage(block, problem)
  }

  /// Where the block before it ended, when that is known without reading that.
  private func start(of block: LogBlock) throws -> LogPosition? {
    if block.first == 1 { return LogPosition() }
    guard let cut = try source.cut(), block.first == cut.seq &+ 1 else { return nil }
    return cut
  }

  private func damage(_ block: LogBlock, _ what: String) -> LogError {
    LogError(
      "\(path): the block of seqs \(block.first) to \(block.last) is damaged: \(what); everything before seq \(block.first) is intact"
    )
  }

  private func visit(_ block: LogBlock, _ body: (RecordView) throws -> Void) throws {
    func damage(_ what: String) -> LogError { self.damage(block, what) }
    guard let bytes = block.bytes else { throw damage("a content of it is not there") }
    try bytes.withUnsafeBytes { bytes in
      guard LogBlock.checksum(bytes) == block.checksum else { throw damage("its checksum does not fit") }
      var next = block.first
      do {
        try RecordView.visit(in: bytes) { record in
          guard record.seq == next, next <= block.last else {
            throw damage("seq \(record.seq) is where \(next) should be")
          }
          next += 1
          try body(record)
        }
      } catch let damage as LogDamage {
        throw LogError("\(path): the block of seqs \(block.first) to \(block.last) is \(damage)")
      }
      if next != block.last + 1 { throw damage("it ends with seq \(next - 1)") }
    }
  }

  // MARK: Script trees

  /// Every script tree there ever was, oldest first. O(trees and what they changed).
  ///
  /// Since when a tree is in force the record says that put it there, until a checkpoint has noted it. O(records since the
  /// newest checkpoint) too, when there is a tree that nothing is noted of.
  package func scriptTrees() throws -> [KeptScriptTree] {
    let noted = try source.checkpoints().first?.last ?? 0
    var trees = try source.scriptTrees()
    guard trees.contains(where: { $0.seq == nil }) else { return trees }
    try visitViews(from: noted + 1) { record in
      guard let number = record.installedTree,
        let place = trees.lastIndex(where: { $0.identity.number == number && $0.seq == nil })
      else { return }
      trees[place].seq = record.identity
    }
    return trees
  }

  /// A script tree that was in force; nil when there is none of the number. O(its files).
  ///
  /// - Throws: `LogError` when a file's content is damaged.
  package func tree(_ number: Int) throws -> (identity: ScriptTree.Identity, files: [String: [UInt8]])? {
    try source.tree(number)
  }

  /// The same, checked and ready to run. O(its files), compiling all of them.
  package func scripts(_ number: Int) throws -> ScriptTree? {
    guard let (identity, files) = try tree(number) else { return nil }
    var tree = ScriptTree(files: files)
    tree.identity = identity
    return tree
  }
}
