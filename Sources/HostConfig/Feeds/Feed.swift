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
  /// Bytes of a row, and of a line.
  package static let rowLimit = 1 << 16

  /// The columns of a CSV feed, as the header names them; empty for JSON Lines.
  package private(set) var header: [String] = []

  private let file: String
  private let lines: LineReader
  private let format: FeedSettings.Format
  /// By position: what a cell is called and how it is read.
  private var columns: [FeedSettings.Column] = []
  private var hasFailed = false

  /// Opens the feed's file and reads a CSV file's header.
  ///
  /// - Throws: the problem when the file cannot be opened, has no usable header, or lacks a column that
  ///   `columns` names.
  package init(_ settings: FeedSettings) throws(ConfigProblem) {
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
    lines = LineReader(descriptor: descriptor, cap: Feed.rowLimit)
    if format == .csv { try readHeader(settings.columns) }
  }

  package func next() -> FeedRow? {
    while let line = lines.next() {
      if line.bytes.isEmpty || line.bytes == [UInt8(ascii: "\r")] { continue }
      return FeedRow(line: line.number, record: format == .csv ? csv(line) : json(line))
    }
    guard let code = lines.failure, !hasFailed else { return nil }
    hasFailed = true
    return FeedRow(
      line: 0,
      record: .failure(ConfigProblem(file: file, message: "cannot be read further: \(errorText(code))")))
  }
}

// MARK: - JSON Lines

extension Feed {
  private func json(_ line: LineReader.Line) -> Result<FeedRecord, ConfigProblem> {
    if line.isCut { return problem(line, "longer than 64 KiB") }
    var bytes = line.bytes[...]
    if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
    do throws(InvalidUTF8) { return .success(.json(try String(text: bytes))) } catch {
      return problem(line, "\(error)")
    }
  }
}

// MARK: - CSV

extension Feed {
  private func readHeader(_ settings: [String: FeedSettings.Column]) throws(ConfigProblem) {
    guard let line = lines.next(), !line.bytes.isEmpty else {
      throw ConfigProblem(file: file, line: 1, message: "expected a header line with the columns' names")
    }
    header = try texts(of: line).get()
    var seen: Set<String> = []
    for name in header {
      let fault = name.isEmpty ? "a column has no name" : "two columns are named `\(name)`"
      guard !name.isEmpty, seen.insert(name).inserted else {
        throw ConfigProblem(file: file, line: line.number, message: "header: \(fault)")
      }
    }
    for name in settings.keys.sorted() where !seen.contains(name) {
      let message = "header: no column `\(name)`\(Suggestion.clause(for: name, among: header))"
      throw ConfigProblem(file: file, line: line.number, message: message)
    }
    columns = header.map { name in
      let column = settings[name] ?? FeedSettings.Column()
      return FeedSettings.Column(name: column.name ?? name, type: column.type)
    }
  }

  private func csv(_ line: LineReader.Line) -> Result<FeedRecord, ConfigProblem> {
    texts(of: line).flatMap { texts in
      guard texts.count == columns.count else {
        return problem(line, "expected \(columns.count) columns, got \(texts.count)")
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
    if first.isCut { return problem(first, "longer than 64 KiB") }
    var record = CSVRecord()
    record.add(first.bytes)
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
      record.add(line.bytes)
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
