/// The seven kinds of field a cron expression is made of.
enum CronFieldKind: Sendable {
  case second, minute, hour, dayOfMonth, month, dayOfWeek

  var name: String {
    switch self {
    case .second: "second"
    case .minute: "minute"
    case .hour: "hour"
    case .dayOfMonth: "day of month"
    case .month: "month"
    case .dayOfWeek: "day of week"
    }
  }

  /// 7 is Sunday too.
  var range: ClosedRange<Int> {
    switch self {
    case .second, .minute: 0...59
    case .hour: 0...23
    case .dayOfMonth: 1...31
    case .month: 1...12
    case .dayOfWeek: 0...7
    }
  }

  /// Names by value, from the range's lowest.
  var names: [String] {
    switch self {
    case .month: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    case .dayOfWeek: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
    default: []
    }
  }
}

/// One field: a list of items, and the plain values among them as bits.
struct CronField: Hashable, Sendable {
  enum Item: Hashable, Sendable {
    /// `*` or `?`, `*/step`.
    case any(step: Int)
    case value(Int)
    /// `a-b`, `a-b/step`; `a/step` reaches to the end of the field's range.
    case range(ClosedRange<Int>, step: Int)
    /// `L`, `L-3` of a day of month: that many days before the month's last.
    case lastDay(before: Int)
    /// `LW`: the last Monday-to-Friday day of the month.
    case lastWorkday
    /// `15W`: the Monday-to-Friday day nearest to that day, within the month.
    case nearestWorkday(Int)
    /// `5L`: the last of that weekday in the month.
    case lastWeekday(Int)
    /// `5#3`: the third of that weekday in the month.
    case nthWeekday(Int, Int)
  }

  var items: [Item]
  /// Bit n: the value n matches, whatever the month.
  var bits: UInt64
  /// The field starts with `*` (or is `?`): cronie's star flag, which decides how the two days combine and
  /// whether a job is at a fixed time.
  var isStar: Bool

  init(_ items: [Item], kind: CronFieldKind, isStar: Bool) {
    self.items = items
    self.isStar = isStar
    bits = 0
    for item in items {
      switch item {
      case .any(let step): insert(kind == .dayOfWeek ? 0...6 : kind.range, step)
      case .value(let value): insert(value...value, 1)
      case .range(let range, let step): insert(range, step)
      default: break
      }
    }
    if kind == .dayOfWeek, bits & (1 << 7) != 0 { bits = (bits | 1) & 0x7f }
  }

  private mutating func insert(_ range: ClosedRange<Int>, _ step: Int) {
    for value in stride(from: range.lowerBound, through: range.upperBound, by: step) { bits |= 1 << value }
  }

  /// The lowest value from `value` on, or nil.
  func next(from value: Int) -> Int? {
    guard value < 64 else { return nil }
    let rest = bits >> value
    return rest == 0 ? nil : value + rest.trailingZeroBitCount
  }

  static func only(_ value: Int, _ kind: CronFieldKind) -> CronField {
    CronField([.value(value)], kind: kind, isStar: false)
  }

  static func every(_ kind: CronFieldKind) -> CronField {
    CronField([.any(step: 1)], kind: kind, isStar: true)
  }
}
