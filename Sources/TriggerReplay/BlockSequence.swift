import TriggerHost

/// Tells block by block whether each follows the one before, and which of two that do not fit is damaged.
///
/// A block whose own bytes do not fit is damaged. What comes after a damaged block is compared with what that block says
/// of itself, and with what it should say. So a sound block is not named for the damage of its neighbour.
struct BlockSequence {
  enum Finding: Equatable {
    case missing(ClosedRange<Int64>)
    case damage(String)
  }

  /// Where the block before may have ended: as its row says, and as its records and what was before them say. Empty:
  /// nobody knows.
  private var ends: [LogPosition]
  private var isAfterDamage = false
  /// Of many damaged blocks in a row no more is kept.
  private static let mostEnds = 4

  /// - Parameter end: where the block ended that was before the first one; nil: nobody knows.
  init(after end: LogPosition?) { ends = end.map { [$0] } ?? [] }

  /// Takes the next block.
  ///
  /// - Parameters:
  ///   - block: what its row says.
  ///   - seqs: those of its records, as far as they can be read.
  ///   - isDamaged: its own bytes do not fit, and that has been said.
  mutating func add(_ block: LogBlock, seqs: ClosedRange<Int64>?, isDamaged: Bool) -> Finding? {
    guard block.first > 0, block.first <= block.last, block.last < .max else {
      (ends, isAfterDamage) = ([], true)
      return nil
    }
    let finding = finding(block, seqs, isDamaged)
    var isSound = !isDamaged
    if case .damage = finding { isSound = false }
    ends = isSound ? [block.end] : possibleEnds(block, seqs)
    isAfterDamage = !isSound
    return finding
  }

  private func finding(_ block: LogBlock, _ seqs: ClosedRange<Int64>?, _ isDamaged: Bool) -> Finding? {
    guard let end = ends.first, let last = ends.map(\.seq).max() else { return nil }
    let first = min(block.first, seqs?.lowerBound ?? block.first)
    if last < .max, first > last + 1 { return .missing(last + 1...first - 1) }
    if isDamaged || ends.contains(where: { problem(block, after: $0) == nil }) { return nil }
    if isAfterDamage { return .damage("it does not follow the block before it, which is damaged") }
    return problem(block, after: end).map { .damage($0) }
  }

  private func problem(_ block: LogBlock, after end: LogPosition) -> String? {
    if block.first != end.seq &+ 1 {
      return "it begins with seq \(block.first), and the block before it ends with seq \(end.seq)"
    }
    return block.problem(after: end)
  }

  /// Of a damaged block.
  private func possibleEnds(_ block: LogBlock, _ seqs: ClosedRange<Int64>?) -> [LogPosition] {
    var stored = block.end
    // Its epoch may be what is wrong.
    stored.epoch = min(stored.epoch, ends.first?.epoch ?? stored.epoch)
    var mended = block
    if let seqs { (mended.first, mended.last) = (seqs.lowerBound, seqs.upperBound) }
    let others = ends.map {
      LogPosition(seq: mended.last, chain: mended.chain(after: $0.chain), epoch: stored.epoch)
    }
    return Array(([stored] + others).prefix(Self.mostEnds))
  }
}
