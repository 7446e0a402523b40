/// How much history a data directory keeps.
public struct LogRetention: Sendable, Hashable {
  /// Records older than this may go; nil: none for their age.
  public var age: Duration?
  /// What the directory may take, in bytes, with checkpoints and all: beyond it the oldest records may go; nil: none
  /// for their size.
  public var bytes: Int?

  /// Everything is kept unless said otherwise.
  public init(age: Duration? = nil, bytes: Int? = nil) {
    self.age = age
    self.bytes = bytes
  }
}

/// What of a log may go. A pure function of what is there.
///
/// The two newest checkpoints stay, and every record after the older of them: whatever happens to one checkpoint,
/// nothing is lost. Before them a few more are kept while they take a fraction of what the records take, so that history
/// can be cut at one of them: then all that is left can be executed again.
struct RetentionPlan: Equatable {
  /// Checkpoints that go, oldest first.
  var removed: [Int64] = []
  /// Every block whose last seq is not after this goes.
  var cut: Int64 = 0
  /// Why more should go than the two newest checkpoints allow; nil when they are not in the way. A new one helps.
  var heldUp: Reason?

  enum Reason { case age, bytes }

  struct Checkpoint: Equatable {
    var id: Int64
    var since: Int64
    var last: Int64
    var bytes: Int
  }

  /// What is there.
  struct Log {
    /// Complete checkpoints, oldest first.
    var checkpoints: [Checkpoint] = []
    /// First seq that the log has, and last that may go: the newest block says where the log ends.
    var first: Int64 = 1
    var last: Int64 = 0
    /// The first seq that is young enough; at most `first` when all are.
    var firstYoung: Int64 = 0
    /// Bytes of all records, about.
    var recordBytes = 0
    /// Bytes that are to go; 0 or less: none.
    var excess = 0
  }

  /// Checkpoints of the past that are kept at most, and the share of the records' bytes that they may take.
  private static let most = 8
  private static let share = 4

  /// - Parameter seq: the first seq after so many bytes of the oldest records.
  init(_ log: Log, after seq: (_ bytes: Int) throws -> Int64) rethrows {
    guard log.checkpoints.count > 1 else {
      heldUp = log.excess > 0 ? .bytes : log.firstYoung > log.first ? .age : nil
      return
    }
    var past = Array(log.checkpoints.dropLast(2))
    let older = log.checkpoints[log.checkpoints.count - 2]
    removed = Self.thin(&past, next: older, recordBytes: log.recordBytes)
    let freed = log.checkpoints.filter { removed.contains($0.id) }.reduce(0) { $0 + $1.bytes }
    let places = past + [older]

    var (wanted, reason) = (Int64(0), Reason.age)
    if log.firstYoung > log.first {
      // What is asked for stays, and a little more.
      wanted = log.firstYoung - 1
      if let base = places.last(where: { $0.last < log.firstYoung }), log.allows(wanted - base.since) {
        wanted = base.since
      }
    }
    if log.excess > freed {
      // No more stays than is allowed, and a little less.
      var exact = try seq(log.excess - freed) - 1
      if let base = places.first(where: { $0.since >= exact }), log.allows(base.since - exact) {
        exact = base.since
      }
      if exact > wanted { (wanted, reason) = (exact, .bytes) }
    }
    wanted = min(wanted, log.last)
    cut = min(wanted, older.since)
    heldUp = wanted > older.since ? reason : nil
    // Those whose records are gone are of no use; one that the cut is at is.
    let useless = past.filter { $0.since < cut }
    removed += useless.map(\.id)
  }

  /// Takes checkpoints out until they cost little beside the records, those first that lie close to others.
  private static func thin(_ past: inout [Checkpoint], next: Checkpoint, recordBytes: Int) -> [Int64] {
    var removed: [Int64] = []
    while let size = past.map(\.bytes).max(), past.count > min(most, recordBytes / share / max(size, 1)) {
      // The oldest is where history begins; it goes last.
      let gaps = past.indices.dropFirst().map { place in
        (place, gap: (place + 1 < past.count ? past[place + 1] : next).last - past[place - 1].last)
      }
      let place = gaps.min { $0.gap < $1.gap }?.0 ?? 0
      removed.append(past.remove(at: place).id)
    }
    return removed
  }
}

extension RetentionPlan.Log {
  /// So many seqs are little beside all of them.
  fileprivate func allows(_ seqs: Int64) -> Bool { seqs <= (last - first + 1) / 8 }
}
