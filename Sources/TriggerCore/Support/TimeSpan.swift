/// Time spans as config files, cron files and scripts write them: `250ms`, `2s`, `5m`, `1h`, `1d`,
/// and combinations from the largest unit to the smallest, each at most once: `1h30m`.
///
/// The numbers are whole. Units: `d` (24 hours), `h`, `m`, `s`, `ms`, `us`, `ns`. The longest span is
/// Int64.max nanoseconds, about 292 years, so that every span fits nanoseconds in 64 bits.
public enum TimeSpan {
  private static let units: [(name: String, nanoseconds: Int64)] = [
    ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000),
    ("ms", 1_000_000), ("us", 1_000), ("ns", 1),
  ]

  /// The span that `text` writes; zero is `0s`. Throws `ValueError` with `bad_time_span`.
  public static func parse(_ text: String) throws(ValueError) -> Duration {
    var rest = text.utf8[...]
    var total: Int64 = 0
    var unitsLeft = units[...]
    guard !rest.isEmpty else { throw malformed(text) }
    while !rest.isEmpty {
      guard let part = NumberWithUnit(takenFrom: &rest) else { throw malformed(text) }
      guard let index = unitsLeft.firstIndex(where: { $0.name == part.unit }) else { throw malformed(text) }
      let product = part.number.multipliedReportingOverflow(by: units[index].nanoseconds)
      let sum = total.addingReportingOverflow(product.partialValue)
      guard !product.overflow, !sum.overflow else {
        throw ValueError(.badTimeSpan, "the time span \(quoted(text)) is longer than 292 years")
      }
      total = sum.partialValue
      unitsLeft = units[(index + 1)...]
    }
    return .nanoseconds(total)
  }

  /// The shortest text that `parse` reads back as `span`: `1h30m`, `0s`. Anything below a nanosecond
  /// is cut off; a negative span, which `parse` refuses, gets a minus sign.
  public static func format(_ span: Duration) -> String {
    if span < .zero { return "-" + format(.zero - span) }
    let (seconds, attoseconds) = span.components
    var text = ""
    var rest = seconds
    for unit in units[0...3] {
      let count = rest / (unit.nanoseconds / 1_000_000_000)
      rest %= unit.nanoseconds / 1_000_000_000
      if count > 0 { text += "\(count)\(unit.name)" }
    }
    rest = attoseconds / 1_000_000_000
    for unit in units[4...] {
      if rest >= unit.nanoseconds { text += "\(rest / unit.nanoseconds)\(unit.name)" }
      rest %= unit.nanoseconds
    }
    return text.isEmpty ? "0s" : text
  }

  private static func malformed(_ text: String) -> ValueError {
    ValueError(.badTimeSpan, "expected a time span like 250ms, 2s, 5m or 1h, got \(quoted(text))")
  }
}
