/// Reads the grammar of RFC 3339, section 5.6, with the offset optional.
struct TimestampReader {
  private let text: String
  private let bytes: [UInt8]
  private var offset = 0

  init(_ text: String) {
    self.text = text
    bytes = Array(text.utf8)
  }

  mutating func read() throws(ValueError) -> ParsedTime {
    let date = try date()
    guard skip("T") || skip("t") || skip(" ") else { throw malformed() }
    let time = try time(on: date)
    if offset == bytes.count { return .local(time) }
    let zone = try zoneOffset()
    guard offset == bytes.count else { throw malformed() }
    guard let instant = Timestamp(time, offsetSeconds: zone) else {
      throw refused("is outside the years 1678 to 2261")
    }
    return .instant(instant)
  }

  private mutating func date() throws(ValueError) -> CivilDate {
    let year = try number(digits: 4)
    try expect("-")
    let month = try number(digits: 2)
    try expect("-")
    let day = try number(digits: 2)
    guard let date = CivilDate(year: year, month: month, day: day) else {
      throw refused("names a day that does not exist")
    }
    return date
  }

  private mutating func time(on date: CivilDate) throws(ValueError) -> CivilDateTime {
    let hour = try number(digits: 2)
    try expect(":")
    let minute = try number(digits: 2)
    try expect(":")
    let second = try number(digits: 2)
    let nanosecond = skip(".") ? try fraction() : 0
    guard
      let time = CivilDateTime(date: date, hour: hour, minute: minute, second: second, nanosecond: nanosecond)
    else {
      throw refused(
        second == 60 ? "is a leap second, which Unix time lacks" : "names a time that does not exist")
    }
    return time
  }

  private mutating func fraction() throws(ValueError) -> Int {
    let start = offset
    var number = 0
    while offset < bytes.count, let digit = digit(at: offset) {
      guard offset - start < 9 else { throw refused("has more than 9 digits of fraction") }
      number = number * 10 + digit
      offset += 1
    }
    guard offset > start else { throw malformed() }
    for _ in (offset - start)..<9 { number *= 10 }
    return number
  }

  /// Seconds ahead of UTC.
  private mutating func zoneOffset() throws(ValueError) -> Int {
    if skip("Z") || skip("z") { return 0 }
    let isAhead = skip("+")
    guard isAhead || skip("-") else { throw malformed() }
    let hours = try number(digits: 2)
    try expect(":")
    let minutes = try number(digits: 2)
    guard hours <= 23, minutes <= 59 else { throw refused("has an offset beyond 23:59") }
    let seconds = hours * 3_600 + minutes * 60
    return isAhead ? seconds : -seconds
  }

  private mutating func number(digits: Int) throws(ValueError) -> Int {
    var number = 0
    for _ in 0..<digits {
      guard offset < bytes.count, let digit = digit(at: offset) else { throw malformed() }
      number = number * 10 + digit
      offset += 1
    }
    return number
  }

  private func digit(at index: Int) -> Int? {
    (48...57).contains(bytes[index]) ? Int(bytes[index] - 48) : nil
  }

  private mutating func expect(_ scalar: Unicode.Scalar) throws(ValueError) {
    guard skip(scalar) else { throw malformed() }
  }

  private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
    guard offset < bytes.count, bytes[offset] == UInt8(ascii: scalar) else { return false }
    offset += 1
    return true
  }

  private func malformed() -> ValueError {
    ValueError(.badTimestamp, "expected a time like 2026-07-01T08:00:00Z, got \(quoted(text))")
  }

  private func refused(_ why: String) -> ValueError {
    ValueError(.badTimestamp, "the time \(quoted(text)) \(why)")
  }
}
