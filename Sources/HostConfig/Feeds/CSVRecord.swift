/// Splits the lines of one CSV record into its fields, after RFC 4180: fields in double quotes may hold
/// delimiters, line ends and doubled quotes. Blanks around the quotes are passed over; nothing else may stand there.
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
  private let delimiter: UInt8
  private var field: [UInt8] = []
  private var isQuoted = false
  /// What ended the line before.
  private var ending: [UInt8] = []

  private static let quote = UInt8(ascii: "\"")

  init(delimiter: UInt8 = UInt8(ascii: ",")) { self.delimiter = delimiter }

  /// Takes the next line, without what ended it, and that.
  mutating func add(_ line: [UInt8], ending: [UInt8] = [UInt8(ascii: "\n")]) {
    var index = line.startIndex
    if isQuoted {
      field += self.ending
      guard readQuoted(line, &index) else { return self.ending = ending }
    }
    while true {
      if !isQuoted {
        let start = afterBlanks(line, index)
        if start < line.endIndex, line[start] == Self.quote {
          index = start + 1
          isQuoted = true
          guard readQuoted(line, &index) else { return self.ending = ending }
        } else {
          readPlain(line, &index)
          if case .broken = state { return }
        }
      }
      isQuoted = false
      fields.append(field)
      field = []
      if index >= line.endIndex { break }
      index += 1  // the delimiter
    }
    state = .closed
  }

  private func afterBlanks(_ line: [UInt8], _ index: Int) -> Int {
    var index = index
    while index < line.endIndex, line[index] != delimiter,
      line[index] == UInt8(ascii: " ") || line[index] == UInt8(ascii: "\t")
    { index += 1 }
    return index
  }

  private mutating func readPlain(_ line: [UInt8], _ index: inout Int) {
    let start = index
    while index < line.endIndex, line[index] != delimiter {
      if line[index] == Self.quote {
        state = .broken(
          "a quote inside a field that is not quoted (field \(fields.count + 1)); write `\"…\"\"…\"`")
        return
      }
      index += 1
    }
    field += line[start..<index]
  }

  /// Goes on inside quotes; true when the quote is closed and a delimiter or the line's end follows.
  private mutating func readQuoted(_ line: [UInt8], _ index: inout Int) -> Bool {
    while index < line.endIndex {
      let byte = line[index]
      index += 1
      guard byte == Self.quote else {
        field.append(byte)
        continue
      }
      if index < line.endIndex, line[index] == Self.quote {
        field.append(Self.quote)
        index += 1
        continue
      }
      index = afterBlanks(line, index)
      if index >= line.endIndex || line[index] == delimiter { return true }
      state = .broken("text after the closing quote of field \(fields.count + 1)")
      return false
    }
    return false
  }
}
