import Foundation
import TriggerCore
import TriggerFiles

/// What one row of a feed holds.
package enum FeedRecord: Sendable {
  /// The cells of a CSV row in the order of the columns; empty cells are left out.
  case cells([(name: String, value: Value)])
  /// The text of one line of JSON, not parsed.
  case json(String)
}

/// One row of a feed: where it begins in the file, and its record or what is wrong with it.
package struct FeedRow: Sendable {
  /// From 1; the header is line 1 of a CSV file.
  package var line: Int
  package var record: Result<FeedRecord, ConfigProblem>
}

/// The rows of one feed's file, read as they are asked for in bounded memory.
///
/// A row that cannot be read is an element with its problem, and the next row goes on behind it. Blank
/// lines are passed over. The sequence ends at the end of the file; open the feed again to repeat it.
/// Not thread-safe: use from one thread at a time.
package final class Feed: Sequence, IteratorProtocol {
  /// Bytes of a row, and of a line: as many as a value may have.
  package static let rowLimit = ValueLimits.encodedBytes

  /// The columns of a CSV feed, as the header names them; empty for JSON Lines.
  package private(set) var header: [String] = []

  /// What was decided about the columns without being told to, for who reads along.
  package private(set) var notes: [ConfigProblem] = []

  private let file: String
  private let lines: LineReader
  private let format: FeedSettings.Format
  /// By position: what a cell is called and how it is read.
  private var columns: [FeedSettings.Column] = []
  private var delimiter = UInt8(ascii: ",")
  /// Columns that rows may leave out: 1 when the header ends with a delimiter.
  private var trailing = 0
  private var hasFailed = false

  /// Opens the feed's file and reads a CSV file's header.
  ///
  /// - Throws: the problem when the file cannot be opened, has no usable header, or lacks a column that
  ///   `columns` names.
  package init(
    _ settings: FeedSettings, blockSize: Int = LineReader.blockSize
  ) throws(ConfigProblem) {
    file = settings.file.text
    format = settings.format
    let descriptor: Int32
    // How far a feed was read is kept as a number of rows: only a file has the same ones again.
    switch openFile(settings.file.resolved) {
    case .success(let file): descriptor = file
    case .failure(let problem):
      let hint = problem.isOtherKind ? "; what comes as a stream goes to run --stdin" : ""
      throw ConfigProblem(file: file, message: problem.message + hint)
    }
    lines = LineReader(
      descriptor: descriptor, cap: Feed.rowLimit, ending: format == .csv ? .any : .lineFeed,
      blockSize: blockSize)
    if format == .csv { try readHeader(settings) }
  }

  package func next() -> FeedRow? {
    while let line = lines.next() {
      if isBlank(line) { continue }
      return FeedRow(line: line.number, record: format == .csv ? csv(line) : json(line))
    }
    guard let code = lines.failure, !hasFailed else { return nil }
    hasFailed = true
    return FeedRow(
      line: 0,
      record: .failure(ConfigProblem(file: file, message: "cannot be read further: \(errorText(code))")))
  }
}

extension Feed {
  private func isBlank(_ line: LineReader.Line) -> Bool {
    line.bytes.allSatisfy { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
      && !line.bytes.contains(delimiter)
  }
}

// MARK: - JSON Lines

extension Feed {
  private static let tooLong = "longer than \(rowLimit >> 20) MiB"

  private func json(_ line: LineReader.Line) -> Result<FeedRecord, ConfigProblem> {
    if line.isCut { return problem(line, "\(Self.tooLong)") }
    var bytes = line.bytes[...]
    if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
    do throws(InvalidUTF8) { return .success(.json(try String(text: bytes))) } catch {
      return problem(line, "\(error)")
    }
  }
}

// MARK: - CSV

extension Feed {
  private func readHeader(_ settings: FeedSettings) throws(ConfigProblem) {
    guard let line = lines.next(), !line.bytes.isEmpty || !line.ending.isEmpty else {
      throw ConfigProblem(file: file, line: 1, message: "expected a header line with the columns' names")
    }
    delimiter = settings.delimiter ?? CSVDelimiter.sniffed(from: line.bytes)
    header = try texts(of: line).get()
    if header.allSatisfy({ $0.allSatisfy(\.isWhitespace) }) {
      throw ConfigProblem(file: file, line: 1, message: "expected a header line with the columns' names")
    }
    if settings.delimiter == nil, delimiter != UInt8(ascii: ",") {
      note(line, "columns are separated by `\(CSVDelimiter.shown(delimiter))`, by the looks of the header")
    }
    do throws(CSVColumns.Mistake) {
      let found = try CSVColumns(header: header, settings.columns)
      columns = found.columns
      trailing = found.trailing
      for text in found.notes { note(line, text) }
    } catch { throw ConfigProblem(file: file, line: line.number, message: "header: \(error.message)") }
    header = columns.map { $0.name ?? "" }
  }

  private func note(_ line: LineReader.Line, _ message: String) {
    notes.append(ConfigProblem(file: file, line: line.number, message: message, severity: .warning))
  }

  private func csv(_ line: LineReader.Line) -> Result<FeedRecord, ConfigProblem> {
    texts(of: line).flatMap { texts in
      // A delimiter at the end of each line makes no column; nothing else may be missing or too much.
      let more = texts.dropFirst(columns.count)
      guard more.allSatisfy(\.isEmpty), more.count <= 1, texts.count >= columns.count - trailing else {
        return problem(line, "expected \(columns.count - trailing) columns, got \(texts.count)")
      }
      return cells(of: texts, line)
    }
  }

  private func cells(
    of texts: [String], _ line: LineReader.Line
  ) -> Result<FeedRecord, ConfigProblem> {
    var cells: [(name: String, value: Value)] = []
    cells.reserveCapacity(texts.count)
    for (column, text) in zip(columns, texts) where !text.isEmpty && column.type != .skip {
      let name = column.name ?? ""
      guard let type = column.type else {
        cells.append((name, FeedCell.guess(text)))
        continue
      }
      guard let value = FeedCell.convert(text, to: type) else {
        let shown = text.count <= 60 ? "`\(text)`" : "a text of \(text.count) characters"
        return problem(line, "column `\(name)`: expected \(FeedCell.words(for: type)), got \(shown)")
      }
      cells.append((name, value))
    }
    return .success(.cells(cells))
  }

  /// The fields of the record that begins with `first`. When a quote never closes, only the first line
  /// is lost: those taken in search of its end go back.
  private func texts(of first: LineReader.Line) -> Result<[String], ConfigProblem> {
    if first.isCut { return problem(first, "\(Self.tooLong)") }
    var record = CSVRecord(delimiter: delimiter)
    record.add(first.bytes, ending: first.ending)
    var taken: [LineReader.Line] = []
    var size = first.bytes.count
    while record.state == .open {
      let line = lines.next()
      if let line { taken.append(line) }
      size += line?.bytes.count ?? 0
      guard let line, !line.isCut, size <= Feed.rowLimit else {
        lines.giveBack(taken)
        return problem(first, "a quote is opened and never closed")
      }
      record.add(line.bytes, ending: line.ending)
    }
    if case .broken(let message) = record.state {
      lines.giveBack(taken)
      return problem(first, message)
    }
    var texts: [String] = []
    texts.reserveCapacity(record.fields.count)
    for field in record.fields {
      let place = "column \(texts.count + 1)"
      // What other encodings write for every second byte is text, too, but not what was meant.
      if field.contains(0) {
        return problem(first, "\(place): a NUL byte; a feed is UTF-8 text, is this UTF-16?")
      }
      do throws(InvalidUTF8) { texts.append(try String(text: field)) } catch {
        return problem(first, "\(place): \(error) of it")
      }
    }
    return .success(texts)
  }

  private func problem<T>(_ line: LineReader.Line, _ message: String) -> Result<T, ConfigProblem> {
    .failure(ConfigProblem(file: file, line: line.number, message: message))
  }
}
