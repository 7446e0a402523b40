import TriggerCore

/// Reads a log and checks that it is what was written, also while a host writes it. One thread at a time.
package final class LogReader {
  package let source: any LogSource
  package var path: String { source.path }
  /// The damaged checkpoints that were passed over, newest first.
  package internal(set) var damaged: [CheckpointDamage] = []

  package init(_ source: any LogSource) { self.source = source }

  /// Closes the source: nothing can be read afterwards.
  package func close() { source.close() }

  /// The newest seq; 0 when there is none.
  package func lastSeq() throws -> Int64 { try source.end().seq }

  /// The oldest seq that the log still has; 0 when it has none.
  package func firstSeq() throws -> Int64 { try source.firstSeq() }

  /// Calls `body` with the records of the seqs `from` to `to`, in order. O(bytes of their blocks), with a few blocks in
  /// memory at a time.
  ///
  /// - Throws: `LogError`, which names the place of damage; every error of `body`.
  package func visit(from: Int64 = 1, to: Int64 = .max, _ body: (LogRecord) throws -> Void) throws {
    try visitViews(from: from, to: to) { try body(try LogRecord($0)) }
  }

  /// About how many bytes of blocks are read at a time.
  private static let bytesAtOnce = 4 << 20

  /// The same as `visit`, without a copy of each record. A view is valid during the call of `body`.
  ///
  /// A few blocks are read at a time, so that no old state of the log is held open while `body` runs. Otherwise a host
  /// that writes could not empty its write-ahead log meanwhile.
  package func visitViews(from: Int64 = 1, to: Int64 = .max, _ body: (RecordView) throws -> Void) throws {
    var end = LogPosition?.none
    try visitBlocks(from: from, to: to, after: &end, body)
  }

  /// The same, and tells where the last block ended that was read. A follower of a log begins with this.
  ///
  /// - Parameter end: gets that position; nil before the first block.
  package func visitViews(
    from: Int64, to: Int64 = .max, reading end: inout LogPosition?, _ body: (RecordView) throws -> Void
  ) throws {
    var known = LogPosition?.none
    defer { end = known ?? end }
    try visitBlocks(from: from, to: to, after: &known, body)
  }

  /// Calls `body` with the records after a position, in order, up to the end of the log. A follower of a log goes on
  /// with this.
  ///
  /// - Parameter end: where the last block ended that was read. It moves on with each block. Without a chain the block
  ///   before is not checked.
  /// - Throws: as `visit` does; also `LogError` when the next block was not written after that position.
  package func visitViews(after end: inout LogPosition, _ body: (RecordView) throws -> Void) throws {
    var known = end.chain == 0 && end.seq > 0 ? nil : end
    defer { end = known ?? end }
    try visitBlocks(from: end.seq + 1, to: .max, after: &known, body)
  }

  /// Whether the log goes on after a position that was read up to.
  ///
  /// - Throws: `LogFailure.lostTail` when the log has not been at that position, as far as the chain tells: it was
  ///   replaced, or its end was lost.
  package func hasMore(after position: LogPosition) throws -> Bool {
    func lost(_ what: String) -> LogFailure {
      .lostTail("\(path): what was followed up to seq \(position.seq) is not what the log has: \(what)")
    }
    let (end, hasChain) = (try source.end(), position.chain != 0)
    if end.seq == position.seq, !hasChain || end.chain == position.chain { return false }
    guard end.seq > position.seq else {
      throw lost("the log ends with seq \(end.seq), or with another history")
    }
    guard hasChain, let next = try source.blocks(after: position.seq, through: .max, bytes: 1).first else {
      return true
    }
    if next.first <= position.seq {
      throw lost("the block of seqs \(next.first) to \(next.last) goes over it")
    }
    if next.first == position.seq + 1, let problem = next.problem(after: position) {
      throw lost("of the block of seqs \(next.first) to \(next.last): \(problem)")
    }
    return true
  }

  /// - Parameter before: where the block before ended; nil when this is not known.
  private func visitBlocks(
    from: Int64, to: Int64, after before: inout LogPosition?, _ body: (RecordView) throws -> Void
  ) throws {
    var (next, wasMissing) = (from, false)
    while next <= to {
      let blocks = try source.blocks(after: next - 1, through: to, bytes: Self.bytesAtOnce)
      for block in blocks {
        if before != nil { try require(block, beginsWith: next) }
        try check(block, after: before)
        try visit(block) { record in if record.seq >= from, record.seq <= to { try body(record) } }
        (next, before) = (block.last + 1, block.end)
      }
      if !blocks.isEmpty {
        wasMissing = false
        continue
      }
      // A damaged page may hide the last rows, and SQLite says nothing about it. Or a block has come meanwhile. So ask
      // once more.
      let last = try lastSeq()
      if last < next { return }
      if wasMissing { throw try missing(next, min(last, to)) }
      wasMissing = true
    }
  }

  /// Calls `body` with the records of the next block after a position, with the block's epoch.
  ///
  /// - Parameters:
  ///   - end: the position. It moves to the end of the block. Without a chain the block before is not checked.
  ///   - last: leaves out a block that begins after this seq.
  /// - Returns: the seqs between the position and the block: they are not kept any more. Nil when there is no block.
  /// - Throws: `LogError` for damage; every error of `body`, and the position stays.
  package func visitBlock(
    after end: inout LogPosition, through last: Int64, _ body: (RecordView, _ epoch: Int64) throws -> Void
  ) throws -> Range<Int64>? {
    guard let block = try nextBlock(after: end, through: last) else { return nil }
    try visitRecords(of: block, after: end) { try body($0, block.epoch) }
    defer { end = block.end }
    return block.missing(after: end)
  }

  /// The next block after a position, checked; nil when there is none.
  ///
  /// - Parameters:
  ///   - end: without a chain the block before is not checked.
  ///   - last: leaves out a block that begins after this seq.
  /// - Throws: `LogError` for damage, what the source says.
  package func nextBlock(after end: LogPosition, through last: Int64) throws -> LogBlock? {
    guard let block = try source.blocks(after: end.seq, through: last, bytes: 1).first else { return nil }
    let isNext = block.first == end.seq + 1 && (end.chain != 0 || end.seq == 0)
    try check(block, after: isNext ? end : nil)
    _ = try contents(of: block)
    return block
  }

  /// Calls `body` with the records of a block of `nextBlock` that come after its position. Reads nothing.
  ///
  /// - Throws: `LogError` for damage; every error of `body`.
  package func visitRecords(
    of block: LogBlock, after end: LogPosition, _ body: (RecordView) throws -> Void
  ) throws {
    try visitRecords(of: block, block.bytes ?? []) { record in if record.seq > end.seq { try body(record) } }
  }

  private func require(_ block: LogBlock, beginsWith seq: Int64) throws {
    if block.first > seq { throw try missing(seq, block.first - 1) }
    if block.first < seq {
      throw damage(
        block, "it begins with seq \(block.first), and the block before it ends with seq \(seq - 1)")
    }
  }

  private func missing(_ first: Int64, _ last: Int64) throws -> LogError {
    if try firstSeq() <= first { return LogError("\(path): \(SeqText.missing(first, last)) from the log") }
    let words = first == last ? "was let go while it was read" : "were let go while they were read"
    return LogError("\(path): \(SeqText.of(first, last)) \(words) (log.retain)")
  }

  /// Checks that the block was written after `end`, as far as the chain tells.
  private func check(_ block: LogBlock, after end: LogPosition?) throws {
    guard let end = try end ?? start(of: block), let problem = block.problem(after: end) else { return }
    throw damage(block, problem)
  }

  /// Where the block before it ended, when that is known without reading that.
  package func start(of block: LogBlock) throws -> LogPosition? {
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
    try visitRecords(of: block, contents(of: block), body)
  }

  /// What was written, to the letter.
  private func contents(of block: LogBlock) throws -> [UInt8] {
    guard let bytes = block.bytes else { throw damage(block, "a content of it is not there") }
    guard bytes.withUnsafeBytes({ LogBlock.checksum($0) }) == block.checksum else {
      throw damage(block, "its checksum does not fit")
    }
    return bytes
  }

  private func visitRecords(
    of block: LogBlock, _ bytes: [UInt8], _ body: (RecordView) throws -> Void
  ) throws {
    func damage(_ what: String) -> LogError { self.damage(block, what) }
    try bytes.withUnsafeBytes { bytes in
      var next = block.first
      do {
        try RecordView.visit(in: bytes) { record in
          guard record.seq == next else { throw damage("seq \(record.seq) is where \(next) should be") }
          guard next <= block.last else { throw damage("its records go on with seq \(next)") }
          next += 1
          try body(record)
        }
      } catch let damage as LogDamage {
        throw LogError("\(path): the block of seqs \(block.first) to \(block.last) is \(damage)")
      }
      if next != block.last + 1 { throw damage("its records end with seq \(next - 1)") }
    }
  }

  // MARK: One block

  /// Calls `body` with the records of one block, whatever is before and after it.
  ///
  /// - Parameter head: what `LogSource.visitHeads` gave.
  /// - Throws: `LogError` when its bytes are not what was written; every error of `body`.
  package func visitViews(of head: LogBlock, _ body: (RecordView) throws -> Void) throws {
    guard head.first > 0 else { throw damage(head, "there are no such seqs") }
    guard let block = try block(head) else {
      // A running host lets go of old blocks meanwhile.
      if try firstSeq() > head.first { return }
      throw try missing(head.first, head.last)
    }
    try visit(block, body)
  }

  /// The seqs that the records of a block have, whatever its row says. Nil when its bytes are not what was written.
  package func seqs(of head: LogBlock) -> ClosedRange<Int64>? {
    guard head.first > 0, let block = try? block(head), let bytes = block.bytes else { return nil }
    var seqs: [Int64] = []
    try? bytes.withUnsafeBytes { bytes in
      guard LogBlock.checksum(bytes) == block.checksum else { return }
      try RecordView.visit(in: bytes) { seqs.append($0.seq) }
    }
    guard let first = seqs.first, let last = seqs.last, first <= last else { return nil }
    return first...last
  }

  private func block(_ head: LogBlock) throws -> LogBlock? {
    let block = try source.blocks(after: head.first - 1, through: head.first, bytes: 1).first
    return block?.first == head.first ? block : nil
  }

  // MARK: Script trees

  /// Every script tree that was ever kept, oldest first. O(trees and their changes).
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

  /// The script tree with this number; nil when there is none. O(its files).
  ///
  /// - Throws: `LogError` when a file's content is damaged.
  package func tree(_ number: Int) throws -> (identity: ScriptTree.Identity, files: [String: [UInt8]])? {
    try source.tree(number)
  }

  /// The script tree with this number, checked and ready to run. Compiles all its files.
  package func scripts(_ number: Int) throws -> ScriptTree? {
    guard let (identity, files) = try tree(number) else { return nil }
    var tree = ScriptTree(files: files)
    tree.identity = identity
    return tree
  }
}
