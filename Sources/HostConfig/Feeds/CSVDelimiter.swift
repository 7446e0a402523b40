/// What stands between the cells of a CSV file.
enum CSVDelimiter {
  private static let usual = [",", ";", "\t", "|"].map { UInt8(ascii: $0) }

  /// As the configuration writes it; nil when it cannot be one: letters, digits, quotes and line ends are in cells.
  static func named(_ text: String) -> UInt8? {
    if text.lowercased() == "tab" || text == "\\t" { return UInt8(ascii: "\t") }
    guard text.utf8.count == 1, let byte = text.utf8.first, byte < 0x80, byte != UInt8(ascii: "\"") else {
      return nil
    }
    let scalar = Unicode.Scalar(byte)
    let isInside =
      scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
      || "-.\r\n\0".unicodeScalars.contains(scalar)
    return isInside ? nil : byte
  }

  /// The one of the usual that a header has most of, outside of quotes; the comma when there is none.
  static func sniffed(from header: [UInt8]) -> UInt8 {
    var counts = [Int](repeating: 0, count: usual.count)
    var isQuoted = false
    for byte in header {
      if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
      if !isQuoted, let place = usual.firstIndex(of: byte) { counts[place] += 1 }
    }
    return usual[counts.firstIndex(of: counts.max()!)!]
  }

  /// For messages.
  static func shown(_ byte: UInt8) -> String {
    byte == UInt8(ascii: "\t") ? "tab" : String(Unicode.Scalar(byte))
  }
}
