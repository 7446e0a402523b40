/// Splits the lines of one CSV record into its fields, after RFC 4180: fields in double quotes may hold
/// commas, line ends and doubled quotes; nothing but a comma may follow the closing quote.
///
/// A quoted field may run over several lines, so lines go in one at a time until the record is closed.
struct CSVRecord {
  enum State: Equatable {
    /// At the start of a record or within one whose quote is still open.
    case open
    case closed
    /// Not a CSV record, and why.
    case broken(String)
  }

  private(set) var fields: [[UInt8]] = []
  private(set) var state = State.open
  private var field: [UInt8] = []
  private var isQuoted = false

  private enum Byte {
    static let quote = UInt8(ascii: "\"")
    static let comma = UInt8(ascii: ",")
    static let carriageReturn = UInt8(ascii: "\r")
    static let lineFeed = UInt8(ascii: "\n")
  }

  /// Takes the next line, without its line feed.
  mutating func add(_ line: [UInt8]) {
    var index = line.startIndex
    if isQuoted {
      field.append(Byte.lineFeed)
      guard takeQuoted(line, &index) else { return }
    }
    while true {
      if !isQuoted {
        if index < line.endIndex, line[index] == Byte.quote {
          index += 1
          isQuoted = true
          guard takeQuoted(line, &index) else { return }
        } else {
          takePlain(line, &index)
          if case .broken = state { return }
        }
      }
      isQuoted = false
      fields.append(field)
      field = []
      if index >= line.endIndex || isFinalReturn(line, index) { break }
      index += 1  // the comma
    }
    state = .closed
  }

  private func isFinalReturn(_ line: [UInt8], _ index: Int) -> Bool {
    line[index] == Byte.carriageReturn && index == line.endIndex - 1
  }

  private mutating func takePlain(_ line: [UInt8], _ index: inout Int) {
    let start = index
    while index < line.endIndex, line[index] != Byte.comma, !isFinalReturn(line, index) {
      if line[index] == Byte.quote {
        state = .broken(
          "a quote inside a field that is not quoted (field \(fields.count + 1)); write `\"…\"\"…\"`")
        return
      }
      index += 1
    }
    field += line[start..<index]
  }

  /// Goes on inside quotes; true when the quote is closed and a comma or the line's end follows.
  private mutating func takeQuoted(_ line: [UInt8], _ index: inout Int) -> Bool {
    while index < line.endIndex {
      let byte = line[index]
      index += 1
      guard byte == Byte.quote else {
        field.append(byte)
        continue
      }
      if index < line.endIndex, line[index] == Byte.quote {
        field.append(Byte.quote)
        index += 1
        continue
      }
      if index >= line.endIndex || line[index] == Byte.comma || isFinalReturn(line, index) { return true }
      state = .broken("text after the closing quote of field \(fields.count + 1)")
      return false
    }
    return false
  }
}
