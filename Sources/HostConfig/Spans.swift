import Foundation

// Time spans, sizes and times as text. One file, so that a shared parser can take its place.

/// A time span such as `250ms`, `2s`, `1.5m`, `1h` or `7d` (units us, ms, s, m, h, d); nil when the
/// text is anything else, negative, or longer than a century.
func parseTimeSpan(_ text: String) -> Duration? {
  let units: [(String, Double)] = [
    ("us", 1e-6), ("ms", 1e-3), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400),
  ]
  guard let (number, unit) = splitUnit(text), let scale = units.first(where: { $0.0 == unit })?.1 else {
    return nil
  }
  let nanoseconds = (number * scale * 1e9).rounded()
  guard nanoseconds <= 100 * 366 * 86_400 * 1e9 else { return nil }
  return .nanoseconds(Int64(nanoseconds))
}

/// A size such as `512kb`, `64mb` or `1gb` in bytes (units b, kb, mb, gb, each 1024 times the one
/// before, in any case); nil when the text is anything else or beyond a pebibyte.
func parseByteSize(_ text: String) -> Int? {
  let units: [String: Double] = ["b": 1, "kb": 1024, "mb": 1_048_576, "gb": 1_073_741_824]
  guard let (number, unit) = splitUnit(text.lowercased()), let scale = units[unit] else { return nil }
  let bytes = (number * scale).rounded()
  return bytes <= 0x1p50 ? Int(bytes) : nil
}

/// Digits with at most one point, then letters.
private func splitUnit(_ text: String) -> (number: Double, unit: String)? {
  let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
  guard let first = number.first, first != ".", number.last != ".", let value = Double(number) else {
    return nil
  }
  return (value, String(text.dropFirst(number.count)))
}

/// An RFC 3339 time with its offset (`2026-01-01T00:00:00Z`, `2026-01-01T09:30:00.5+02:00`); nil when
/// the text is anything else or names a day or time that does not exist. A leap second is refused.
func parseTime(_ text: String) -> Date? {
  let pattern =
    /(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?:[Zz]|([+-])(\d\d):(\d\d))/
  guard let match = text.wholeMatch(of: pattern)?.output else { return nil }
  func int(_ digits: Substring) -> Int { Int(digits) ?? 0 }
  let (year, month, day) = (int(match.1), int(match.2), int(match.3))
  let (hour, minute, second) = (int(match.4), int(match.5), int(match.6))
  guard hour < 24, minute < 60, second < 60, let days = daysSinceEpoch(year, month, day) else { return nil }
  var offset = 0
  if let sign = match.8, let hours = match.9.map(int), let minutes = match.10.map(int) {
    guard hours < 24, minutes < 60 else { return nil }
    offset = (hours * 3600 + minutes * 60) * (sign == "-" ? -1 : 1)
  }
  let whole = days * 86_400 + hour * 3600 + minute * 60 + second - offset
  let fraction = match.7.flatMap { Double("0" + $0) } ?? 0
  return Date(timeIntervalSince1970: Double(whole) + fraction)
}

/// Days from 1970-01-01 in the Gregorian calendar, or nil for a date that does not exist.
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
private func daysSinceEpoch(_ year: Int, _ month: Int, _ day: Int) -> Int? {
  let isLeap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
  let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
  guard (1...12).contains(month), (1...lengths[month - 1]).contains(day) else { return nil }
  let y = month <= 2 ? year - 1 : year
  let era = (y >= 0 ? y : y - 399) / 400
  let yearOfEra = y - era * 400
  let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
  let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}
