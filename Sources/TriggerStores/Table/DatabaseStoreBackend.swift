import Foundation
import TriggerCore
import TriggerHost
import TriggerSQLite

/// A store kept as rows of a real table in an SQLite file of its own, which any SQLite client may read meanwhile.
///
/// The log is the truth and the table follows it: it only ever holds durable commits, and at any moment it is the
/// store exactly as of `trigger_host.applied`, written in the same transaction. What cannot be written now, because
/// another program has the file locked, is caught up later; commits do not wait. What others write is refused by
/// triggers; what gets past them is found, reported and put right. Registered with a coordinator without a log, the
/// table is rebuilt at each start.
public final class DatabaseStoreBackend: FollowingStoreBackend, @unchecked Sendable {
  // Fields that change: set by `init`, then the line's queue alone.

  /// Something that the operator should know.
  public struct Notice: Sendable, Hashable, CustomStringConvertible {
    /// How bad it is.
    public enum Level: String, Sendable {
      /// The table caught up.
      case info
      /// The table lags, or a value has no column.
      case warning
      /// Somebody else changed the table, or it cannot be written.
      case error
    }
    /// How bad it is.
    public let level: Level
    /// Names the store, and says what was found and what was done.
    public let description: String
  }

  private enum Limits {
    /// A table takes a quarter of one core at most: after a transaction it rests three times as long.
    static let restPerWork = 3.0
    static let restAtLeast = Duration.milliseconds(5)
    static let restAtMost = Duration.seconds(1)
    /// How often others' changes are looked for when there is nothing to write.
    static let look = Duration.seconds(1)
    /// A comparison comes no sooner than ten times its own time after the last one.
    static let restPerComparison = 10.0
    /// How long a lock lasts before it is worth a warning.
    static let patience = Duration.seconds(1)
    static let retryFirst = Duration.milliseconds(20)
    static let retryAtMost = Duration.milliseconds(250)
    /// How long the last call waits for a lock.
    static let lastWaitMilliseconds: Int32 = 100
  }

  private let path: String
  private let store: String
  private let table: DatabaseTable
  private let history: LogHistory?
  private let notice: @Sendable (Notice) -> Void

  /// Nil after the last call, and while it cannot be opened again.
  private var file: TableFile?
  /// What this run knows, beside what the file says.
  private var doubt = TableFile.Doubt.none
  private var dataVersion: Int64?
  private var mayCompareFrom = ContinuousClock.now
  private var misfits: Set<RowCoding.Misfit> = []
  private var stuck: (since: ContinuousClock.Instant, reported: String?)?
  private var retry = Limits.retryFirst

  /// Opens the file, made when it is not there with the directory it is in, and brings it to the table's layout:
  /// columns and indexes as declared, new migrations run.
  ///
  /// - Parameters:
  ///   - path: the SQLite file; nothing else may be in it.
  ///   - store: the store's name; a file belongs to one store.
  ///   - history: of the log that the table follows; nil without a log.
  ///   - notice: called on the store's own queue.
  /// - Throws: `TableError` when the file is another's, follows another log, a migration fails or was changed, or
  ///   the layout must change and another program has the file locked (waits 5 s for it).
  public init(
    path: String, store: String, table: DatabaseTable, history: LogHistory?,
    notice: @escaping @Sendable (Notice) -> Void = { _ in }
  ) throws(TableError) {
    self.path = path
    self.store = store
    self.table = table
    self.history = history
    self.notice = notice
    let file = try Self.open(path, store, table, history)
    self.file = file
    let state = file.state
    // What the run before this one left can be relied on. If that run did not get to write the table, the log may
    // have lost its end before it and gone on differently.
    doubt = history.map { state.history.epoch == $0.epoch - 1 ? .none : .layout } ?? .layout
    tellMended(file.mended)
  }

  private static func open(
    _ path: String, _ store: String, _ table: DatabaseTable, _ history: LogHistory?
  ) throws(TableError) -> TableFile {
    do {
      if path != inMemory {
        try FileManager.default.createDirectory(
          at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true,
          attributes: [.posixPermissions: 0o700])
      }
      return try TableFile(path: path, store: store, table: table, history: history)
    } catch let error as TableError { throw error } catch let error as StorageError {
      throw TableError(path, error.reason(path))
    } catch { throw TableError(path, "\(error)") }
  }

  private static let inMemory = ":memory:"

  /// Makes the table in memory and runs its migrations there, to find mistakes.
  ///
  /// - Throws: `TableError` with an empty path.
  public static func tryOut(_ table: DatabaseTable) throws(TableError) {
    do throws(TableError) { _ = try open(inMemory, "", table, nil) } catch {
      throw TableError("", error.message, migration: error.migration)
    }
  }

  /// Nothing: the state comes from the log, and the table follows it.
  public func load() -> Value.Map { [:] }
  /// The keys and values as they are.
  public func content(of values: Value.Map) -> Value.Map { values }
  /// The map as it is.
  public func values(of content: Value.Map) -> Value.Map { content }

  /// What a reader of the file finds now: the rows as values, and the seq that they are as of. An integer in a
  /// `real` column is a float here, text in a `blob` column is bytes. Any thread; O(rows).
  ///
  /// - Throws: `StorageError`; `ValueError` when somebody has put something unreadable there.
  public func read() throws -> (seq: Int64, values: Value.Map) {
    try TableReader(path: path, table: table).read()
  }

  // MARK: Following

  /// Brings the table to the view in one transaction.
  public func follow(_ view: StoreView) -> FollowStep {
    let started = ContinuousClock.now
    defer { if view.isLast { file = nil } }
    do {
      let hasWritten = try bringUp(to: view)
      tellFreed()
      let work = (ContinuousClock.now - started) * Limits.restPerWork
      let rest = hasWritten ? min(max(work, Limits.restAtLeast), Limits.restAtMost) : .zero
      return FollowStep(rest: rest, look: Limits.look)
    } catch {
      return wait(for: error, at: view)
    }
  }

  /// - Returns: false when there was nothing to do.
  private func bringUp(to view: StoreView) throws -> Bool {
    let file = try currentFile()
    if view.isLast { try file.db.wait(milliseconds: Limits.lastWaitMilliseconds) }
    let version = try file.dataVersion()
    if dataVersion == nil { dataVersion = version }
    if version != dataVersion { doubt = max(doubt, .rows) }
    let isThere = view.seq == file.state.applied && file.state.history == history ?? file.state.history
    if isThere, view.changedKeys?.isEmpty == true, max(doubt, file.state.doubt) == .none { return false }
    var found: TableComparison?
    try file.write { found = try write(view, &$0, in: file) }
    // The file remembers it from here on.
    doubt = .none
    dataVersion = version
    tellMended(file.mended)
    if let found { tell(found, view) }
    return true
  }

  private func write(_ view: StoreView, _ state: inout TableFile.State, in file: TableFile) throws
    -> TableComparison?
  {
    state.doubt = max(state.doubt, doubt)
    var claim = min(state.applied, view.since)
    let isAhead = state.applied > view.since
    var isBehind = true
    if view.since == state.applied, let keys = view.changedKeys {
      for key in keys { try write(key, view, in: file) }
      (claim, isBehind) = (view.seq, false)
    }
    state.applied = view.seq
    state.history = history ?? state.history
    // Somebody who changes other tables in the file all the time must not keep us comparing.
    let mayCompare = state.doubt == .layout || ContinuousClock.now >= mayCompareFrom
    guard isBehind || state.doubt != .none && mayCompare else { return nil }
    let started = ContinuousClock.now
    var found = TableComparison(
      view, file, claim: state.doubt == .layout ? nil : claim, isAhead: isAhead)
    try found.run { tell($0, at: $1) }
    mayCompareFrom = .now + (ContinuousClock.now - started) * Limits.restPerComparison
    state.doubt = .none
    return found
  }

  private func write(_ key: [UInt8], _ view: StoreView, in file: TableFile) throws {
    let cell = Database.Cell(key: key)
    guard let item = view.item(key) else { return try file.delete(cell) }
    let cells = file.coding.cells(of: item.value) { tell($0, at: key) }
    try file.put(cell, cells, version: item.version)
  }

  /// The file, opened again when somebody has moved it away or put another in its place.
  private func currentFile() throws -> TableFile {
    if let file, !file.hasMoved { return file }
    let isLost = file != nil
    file = nil
    let opened = try Self.open(path, store, table, history)
    file = opened
    (dataVersion, doubt) = (nil, .layout)
    if isLost {
      tell(.error, "\(path) was moved or replaced by another program; it is made again from the log")
    }
    return opened
  }

  // MARK: Telling

  private func tell(_ level: Notice.Level, _ message: String) {
    notice(Notice(level: level, description: "store '\(store)': \(message)"))
  }

  private func tellMended(_ missing: [String]) {
    if missing.isEmpty { return }
    tell(
      .error,
      "another program has removed or changed \(missing.joined(separator: ", ")) of \(path); made again"
    )
  }

  private func tell(_ found: TableComparison, _ view: StoreView) {
    func rows(_ count: Int) -> String { "\(count) row\(count == 1 ? "" : "s")" }
    if found.ahead.count > 0 {
      tell(
        .warning,
        "\(path) was ahead of the log, which ended at seq \(view.seq): took back \(rows(found.ahead.count)) (\(found.ahead.text))"
      )
    }
    if found.foreign.count > 0 {
      tell(
        .error,
        "another program has changed \(rows(found.foreign.count)) of \(path) (\(found.foreign.text)); put right as of seq \(view.seq). Only the host may write the table: change the store instead."
      )
    }
    if found.behind > 0 { tell(.info, "\(path): brought \(rows(found.behind)) up to seq \(view.seq)") }
  }

  private func tell(_ misfit: RowCoding.Misfit, at key: [UInt8]) {
    guard misfits.insert(misfit).inserted else { return }
    let (column, kind) = (misfit.column, misfit.kind)
    tell(
      .warning,
      "the column `\(column.name)` is \(column.type.rawValue), but at key '\(String(decoding: key, as: UTF8.self))' the field is of kind \(kind): such values are kept in the JSON column `value` (said once)"
    )
  }

  private func wait(for error: any Error, at view: StoreView) -> FollowStep {
    let storage = error as? StorageError
    let isLock = storage?.isBusy == true
    let reason =
      isLock
      ? "locked by another program" : storage?.reason(path) ?? (error as? TableError)?.message ?? "\(error)"
    let now = ContinuousClock.now
    if stuck == nil { stuck = (now, nil) }
    let isLate = now - stuck!.since >= Limits.patience || view.isLast
    if stuck!.reported != reason, !isLock || isLate {
      stuck!.reported = reason
      let since = isLock ? " for \(Self.text(now - stuck!.since))" : ""
      let then = view.isLast ? "The next start catches up" : "Commits go on"
      tell(
        isLock ? .warning : .error,
        "\(path) cannot be written: \(reason)\(since). \(then); the table is behind since seq \(view.since)."
      )
    }
    defer { retry = min(retry * 2, Limits.retryAtMost) }
    return FollowStep(obstacle: reason, rest: retry)
  }

  private func tellFreed() {
    if let stuck, stuck.reported != nil {
      tell(.info, "\(path) is written again, after \(Self.text(ContinuousClock.now - stuck.since))")
    }
    (stuck, retry) = (nil, Limits.retryFirst)
  }

  private static func text(_ time: Duration) -> String { String(format: "%.1f s", time / .seconds(1)) }
}

extension StorageError {
  /// The description without the path in front.
  fileprivate func reason(_ path: String) -> String {
    description.hasPrefix("\(path): ") ? String(description.dropFirst(path.count + 2)) : description
  }
}
