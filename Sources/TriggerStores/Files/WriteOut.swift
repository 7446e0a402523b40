import TriggerCore

/// Decides how the files of a directory follow a store, and what in the directory is an edit from outside.
/// Knows no files, only what was seen of them.
///
/// For each path it keeps three contents (nil: no file):
///
///     store   what the store holds, by the commits so far
///     disk    what the directory held when it was last looked at, or written
///     mark    what we put there last, or found there equal to the store
///
/// and the edits that were told and whose commits are still to come. Bursts of edits have numbers, and the commit
/// of one says so: that is how one is told from another commit, also after a crash. Then:
///
///     disk == store            all is well: mark becomes disk
///     disk == mark ≠ store     the file lags: it is written
///     disk ≠ mark, ≠ store     somebody edited it: told once, and left alone until the edit's commit comes
///
/// A write gives back what it displaced. When that is not what the disk was known to hold, somebody edited the
/// file in between: that content is told as an edit as well, so its commit, later in order, brings it back.
struct WriteOut {
  typealias ID = FileContent.ID

  /// A file to write (or to remove, when there is no content).
  struct Write: Equatable {
    var path: String
    var content: FileContent?
    /// What is there as far as we know.
    var expected: ID?
  }

  /// What a mark keeps of a path across starts: contents that are ours when the disk has them. They differ from
  /// before a write until it is known to be done.
  struct Row: Equatable {
    var was: ID?
    var becomes: ID?
  }

  /// An edit that was told; without a content the file was gone.
  struct Told: Equatable {
    var burst: Int64
    var content: ID?
  }

  private struct File: Equatable {
    var store: ID?
    var disk: ID?
    var mark: ID?
    /// In the order they were told in.
    var told: [Told] = []

    static let none = File()
  }

  private struct Unwritten {
    var content: FileContent?
    /// The first commit that the file does not show.
    var since: Int64
  }

  private var files: [String: File] = [:]
  private var unwritten: [String: Unwritten] = [:]
  /// Why paths cannot be written: until something changes, or for good.
  private(set) var blocked: [String: String] = [:]
  private(set) var refused: [String: String] = [:]
  /// The newest commit.
  private(set) var newest: Int64 = 0
  /// Paths of which a mark's rows are out of date.
  private var outdated: Set<String> = []

  /// A content that no file has.
  static let unknown = ID(size: -2, hash: 0)

  // MARK: Beginning

  /// What an earlier run left in the directory beside a path: displaced by a write, and perhaps an edit.
  struct Left: Equatable {
    var path: String
    var content: ID?
    /// Contents of ours that it may be.
    var ours: [ID?]
  }

  /// Takes up what an earlier run left.
  ///
  /// - Parameters:
  ///   - store: what the store holds as of `seq`.
  ///   - committed: the number of the last burst of edits that is in it.
  ///   - rows: by path; a path without one had no file of ours.
  ///   - told: edits that were told and not seen committed.
  ///   - disk: what the directory holds.
  ///   - movedAside: paths whose own file was taken away in the middle of a write.
  /// - Returns: the edits to tell: those of `left`, by index, and then the content of these paths on disk.
  mutating func begin(
    store: [String: FileContent], seq: Int64, committed: Int64, rows: [String: Row],
    told: [String: [Told]], disk: [String: ID], left: [Left], movedAside: Set<String>
  ) -> (left: [Int], edited: [String]) {
    newest = seq
    var edited: [String] = []
    for path in Self.sorted(Set(rows.keys).union(disk.keys).union(store.keys).union(told.keys)) {
      var file = File(store: store[path]?.id, disk: disk[path])
      let row = rows[path] ?? Row()
      let isOurs =
        file.disk == row.was || file.disk == row.becomes || (file.disk == nil && movedAside.contains(path))
        // An edit that is in the store, though perhaps not as the newest commit of its path.
        || told[path, default: []].contains { $0.burst <= committed && $0.content == file.disk }
      if file.disk == file.store {
        file.mark = file.disk
      } else if isOurs {
        file.mark = file.disk
        unwritten[path] = Unwritten(content: store[path], since: seq)
      } else {
        file.mark = Self.unknown
        edited.append(path)
      }
      keep(path, file)
    }
    let open = left.indices.filter { index in
      let item = left[index]
      return !item.ours.contains(item.content) && item.content != files[item.path]?.store
        && !told[item.path, default: []].contains { $0.burst <= committed && $0.content == item.content }
    }
    return (open, edited)
  }

  // MARK: Following

  /// A commit, in seq order. Nil removes the file.
  mutating func commit(seq: Int64, path: String, _ content: FileContent?) {
    reached(seq)
    var file = files[path, default: .none]
    file.store = content?.id
    refused[path] = nil
    blocked[path] = nil
    if file.store == file.disk {
      file.mark = file.disk
      unwritten[path] = nil
    } else {
      unwritten[path] = Unwritten(content: content, since: unwritten[path]?.since ?? seq)
    }
    keep(path, file)
  }

  /// All commits up to this one have come.
  mutating func reached(_ seq: Int64) { newest = max(newest, seq) }

  /// The commit of a burst of edits, and of all before it. Together with the changes it made, and after them.
  mutating func committed(burst: Int64) {
    for (path, file) in files where file.told.contains(where: { $0.burst <= burst }) {
      var file = file
      file.told.removeAll { $0.burst <= burst }
      keep(path, file)
    }
  }

  /// Whether an edit still waits for its commit.
  func isTold(_ path: String, _ content: ID?) -> Bool {
    files[path]?.told.contains { $0.content == content } ?? false
  }

  /// A commit of something that is no file: what is on disk stays.
  mutating func refuse(seq: Int64, path: String, because reason: String) {
    reached(seq)
    files[path, default: .none].store = Self.unknown
    unwritten[path] = nil
    blocked[path] = nil
    refused[path] = reason
  }

  /// The directory was looked at.
  ///
  /// - Returns: whether the content is an edit to tell.
  mutating func saw(_ path: String, _ content: ID?) -> Bool {
    var file = files[path, default: .none]
    guard file.disk != content else { return false }
    file.disk = content
    let isEdit = content != file.store || !file.told.isEmpty
    if isEdit {
      // A content of ours that somebody brought back is no mark any more.
      file.mark = Self.unknown
    } else {
      file.mark = content
      unwritten[path] = nil
    }
    keep(path, file)
    return isEdit
  }

  /// What is to be written now: removals first, so that a directory can take a file's place.
  func writes() -> [Write] {
    let paths = unwritten.keys.filter { blocked[$0] == nil && files[$0]?.disk == files[$0]?.mark }
    let writes = Self.sorted(paths).map { path in
      Write(path: path, content: unwritten[path]!.content, expected: files[path]?.disk)
    }
    return writes.filter { $0.content == nil } + writes.filter { $0.content != nil }
  }

  /// A write is done.
  ///
  /// - Parameter displaced: what was there until then.
  /// - Returns: whether that is an edit to tell.
  mutating func wrote(_ write: Write, displaced: ID?) -> Bool {
    var file = files[write.path, default: .none]
    file.disk = write.content?.id
    file.mark = file.disk
    if file.store == file.disk { unwritten[write.path] = nil }
    keep(write.path, file)
    return displaced != write.expected && displaced != file.disk
  }

  /// An edit is told, as part of a burst.
  mutating func tell(_ path: String, _ content: ID?, burst: Int64) {
    files[path, default: .none].told.append(Told(burst: burst, content: content))
    outdated.insert(path)
  }

  /// A write cannot be done now.
  mutating func failed(_ path: String, because reason: String) { blocked[path] = reason }

  /// What stood in the way may be gone.
  mutating func retry() { blocked = [:] }

  // MARK: What to keep

  /// Every commit up to here shows in the directory, or has been overtaken by an edit's.
  var appliedSeq: Int64 { (unwritten.values.map(\.since).min() ?? newest + 1) - 1 }

  /// Every path with a file on either side.
  var paths: [String] { Array(files.keys) }

  /// The rows, and the told edits, that have changed since the last call.
  mutating func takeOutdated() -> [(path: String, row: Row?, told: [Told])] {
    defer { outdated = [] }
    return Self.sorted(outdated).map { path in (path, row(path), files[path]?.told ?? []) }
  }

  /// What was taken could not be kept.
  mutating func keepLater(_ paths: [String]) { outdated.formUnion(paths) }

  /// The row while a write is under way.
  func intent(_ write: Write) -> Row {
    Row(was: write.expected, becomes: write.content?.id)
  }

  private func row(_ path: String) -> Row? {
    files[path].map { Row(was: $0.mark, becomes: $0.mark) }
  }

  private mutating func keep(_ path: String, _ file: File) {
    files[path] = file == .none ? nil : file
    outdated.insert(path)
  }

  private static func sorted(_ paths: some Sequence<String>) -> [String] {
    paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
