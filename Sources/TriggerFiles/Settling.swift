/// Makes one change set out of a burst: what has come is given out when nothing more has come for a while.
///
///     idle ──touched──▶ pending ──nothing for `quiet`, or `longest` since the first──▶ given out, idle
///
/// Times are nanoseconds of any clock that does not go back.
struct Settling {
  let quiet: Int64
  /// A burst that does not end is given out in parts.
  let longest: Int64
  private var pending: (dirt: Dirt, first: Int64, last: Int64)?

  init(quiet: Duration, longest: Duration) {
    self.quiet = quiet.nanoseconds
    self.longest = longest.nanoseconds
  }

  var isIdle: Bool { pending == nil }

  /// When to call `settled` next; nil while nothing is pending.
  var deadline: Int64? { pending.map { min($0.last + quiet, $0.first + longest) } }

  /// Something happened; an empty dirt is nothing.
  mutating func touched(_ dirt: Dirt, at now: Int64) {
    if dirt.isEmpty { return }
    if pending == nil {
      pending = (dirt, now, now)
    } else {
      pending?.dirt.merge(dirt)
      pending?.last = now
    }
  }

  /// What has become of the burst, when it is over; nil while it is not.
  mutating func settled(at now: Int64) -> Dirt? {
    guard let pending, let deadline, now >= deadline else { return nil }
    self.pending = nil
    return pending.dirt
  }
}

extension Duration {
  var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
