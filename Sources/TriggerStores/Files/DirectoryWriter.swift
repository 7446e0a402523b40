import CTriggerFiles
import Glibc
import TriggerCore
import TriggerFiles

/// What is about to happen, to a path or as a whole: a crash may separate it from what comes before.
package enum FileStoreStep: Hashable, Sendable {
  case write(String), sync(String), name(String), exchange(String), fallBack(String), remove(String)
  case look(String), drop(String), mark, tell
}

/// Puts files into a directory without losing what others put there: a new content changes places with the old
/// one, so that what it displaces can be looked at.
///
/// Beside the file, under a temporary name `T` that is known before anything is made:
///
///     T.new    the new content while it is written; worth nothing
///     T        the new content, whole; after the exchange, what it has displaced
///     T.old    what was there, where a file system cannot exchange files, or the file is removed
///
/// No directory is entered through a link, so nothing outside is ever touched.
struct DirectoryWriter {
  let root: String
  let policy: FilePathPolicy
  /// Off: as on a file system that cannot exchange files.
  var exchanges = true
  /// Set: as if all files were of other users, of which the system does not say whether somebody has them open. They
  /// are taken for open until nothing has happened to them for so many nanoseconds.
  var strangersQuiet: Int64?
  /// Called before each step that a crash may separate from the next.
  var step: @Sendable (FileStoreStep) throws -> Void = { _ in }

  struct Failure: Error {
    var message: String
    /// The place, of the path, that is in the way.
    static func system(_ what: String) -> Failure { Failure(message: "\(what): \(errorText(errno))") }
  }

  /// A name beside a path that holds what a write has displaced.
  struct Aside: Hashable {
    var path: String
    /// The name as it was recorded.
    var temporary: String
    /// The name it has now.
    var name: String
  }

  // MARK: Writing

  /// Puts a content at a path, or nothing (nil), and gives the name that what was there has now; nil when
  /// nothing was.
  func put(_ write: WriteOut.Write, temporary: String) throws -> Aside? {
    guard let content = write.content else { return try remove(write.path, temporary) }
    let path = write.path
    let place = try open(path, creates: true)
    defer { place.close() }
    try refuse(place, write)
    try step(.write(path))
    let old = place.status()
    let mode = old?.kind == .file ? old?.mode : nil
    try self.write(content.bytes, as: temporary + ".new", in: place, mode: mode, path)
    try step(.name(path))
    guard renameat(place.directory, temporary + ".new", place.directory, temporary) == 0 else {
      throw Failure.system("cannot be written")
    }
    return try exchange(place, temporary)
  }

  private func write(
    _ bytes: [UInt8], as name: String, in place: Place, mode: UInt32?, _ path: String
  ) throws {
    let file = openat(place.directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard file >= 0 else { throw Failure.system("cannot be written") }
    defer { Glibc.close(file) }
    if let mode { fchmod(file, mode) }
    do {
      try bytes.withUnsafeBytes { bytes in
        var rest = bytes[...]
        while !rest.isEmpty {
          let count = Glibc.write(file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
          if count > 0 {
            rest = rest.dropFirst(count)
          } else if errno != EINTR {
            throw Failure.system("cannot be written")
          }
        }
      }
      try step(.sync(path))
      // Before it takes its name: after a power failure a name must not stand for half a file.
      guard fsync(file) == 0 else { throw Failure.system("cannot be written") }
    } catch let failure as Failure {
      unlinkat(place.directory, name, 0)
      throw failure
    }
  }

  /// The whole new content has the temporary name; the two change places.
  private func exchange(_ place: Place, _ temporary: String) throws -> Aside? {
    try step(.exchange(place.path))
    while true {
      if exchanges, tf_exchange(place.directory, temporary, place.directory, place.name) == 0 {
        return try accept(Aside(path: place.path, temporary: temporary, name: temporary), place)
      }
      switch exchanges ? errno : EINVAL {
      case ENOENT:
        if tf_rename_new(place.directory, temporary, place.directory, place.name) == 0 { return nil }
        // Somebody was quicker: now there is something to exchange with.
        if errno != EEXIST { return try fallBack(place, temporary) }
      case EINVAL, ENOSYS, ENOTSUP: return try fallBack(place, temporary)
      default: throw discarded(temporary, place)
      }
    }
  }

  /// A directory must not change places with a file: then it goes back, and who wrote looks at what comes for it.
  private func accept(_ aside: Aside, _ place: Place) throws -> Aside {
    if FileStatus.of(aside.name, in: place.directory)?.kind != .directory { return aside }
    guard tf_exchange(place.directory, aside.name, place.directory, place.name) == 0 else {
      throw Failure.system("cannot be written: a directory took its place")
    }
    throw Failure(message: "cannot be written: it is a directory")
  }

  /// Without an exchange: for a moment nothing is there. A link, unlike a renaming, never displaces anything.
  private func fallBack(_ place: Place, _ temporary: String) throws -> Aside? {
    let old = temporary + ".old"
    var aside: Aside?
    if renameat(place.directory, place.name, place.directory, old) == 0 {
      aside = Aside(path: place.path, temporary: temporary, name: old)
    } else if errno != ENOENT {
      throw discarded(temporary, place)
    }
    try step(.fallBack(place.path))
    guard linkat(place.directory, temporary, place.directory, place.name, 0) == 0 else {
      let failure = discarded(temporary, place)
      // What was there goes back, unless somebody has put a new file there.
      if aside != nil, linkat(place.directory, old, place.directory, place.name, 0) == 0 {
        unlinkat(place.directory, old, 0)
      }
      throw failure
    }
    unlinkat(place.directory, temporary, 0)
    return aside
  }

  private func discarded(_ temporary: String, _ place: Place) -> Failure {
    let failure = Failure.system("cannot be written")
    unlinkat(place.directory, temporary, 0)
    return failure
  }

  private func remove(_ path: String, _ temporary: String) throws -> Aside? {
    guard let place = try? open(path, creates: false) else { return nil }
    defer { place.close() }
    if place.status()?.kind == .directory { return nil }
    try step(.remove(path))
    let old = temporary + ".old"
    if renameat(place.directory, place.name, place.directory, old) == 0 {
      return Aside(path: path, temporary: temporary, name: old)
    }
    if errno == ENOENT { return nil }
    throw Failure.system("cannot be removed")
  }

  /// A link takes part as the file that it leads to, and gives way to a file.
  private func refuse(_ place: Place, _ write: WriteOut.Write) throws {
    guard let status = place.status() else { return }
    switch status.kind {
    case .directory: throw Failure(message: "cannot be written: it is a directory")
    case .link where write.expected == nil:
      throw Failure(message: "cannot be written: it is a link that is not followed")
    case .other: throw Failure(message: "cannot be written: it is no regular file")
    case .file where status.size > policy.fileBytes:
      throw Failure(message: "not written: what is there is too large to be kept")
    default: break
    }
  }

  // MARK: What was displaced

  enum Displaced {
    case content(FileContent?)
    /// A link: what it leads to is where it was.
    case link
    /// Somebody has the file open and may still write into it.
    case stillOpen
    /// It is no content of a store, because of this.
    case unusable(String)
  }

  /// What the name holds; `content(nil)` when there is nothing (any more).
  func look(at aside: Aside) throws -> Displaced {
    guard let place = try? open(aside.path, creates: false) else { return .content(nil) }
    defer { place.close() }
    try step(.look(aside.path))
    if FileStatus.of(aside.name, in: place.directory)?.kind == .link { return .link }
    if hasWriter(aside.name, in: place) { return .stillOpen }
    switch readFile(aside.name, in: place.directory, cap: policy.fileBytes, followsLink: false) {
    case .content(let bytes, _): return .content(FileContent(bytes))
    case .absent: return .content(nil)
    case .torn: return .stillOpen
    case .problem(let message): return .unusable(message)
    }
  }

  private func hasWriter(_ name: String, in place: Place) -> Bool {
    let file = openat(place.directory, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)
    guard file >= 0 else { return false }
    defer { Glibc.close(file) }
    var quiet = Self.quiet
    if let strangersQuiet {
      quiet = strangersQuiet
    } else {
      let answer = tf_has_writer(file)
      // Only the file's owner may ask.
      if answer >= 0 || errno != EACCES { return answer == 1 }
    }
    return FileStatus.of(file)?.isQuiet(for: quiet) == false
  }

  /// Of files of other users. Being displaced is something that happens to a file too.
  private static let quiet: Int64 = 10_000_000_000

  /// Removes it.
  func drop(_ aside: Aside) throws {
    guard let place = try? open(aside.path, creates: false) else { return }
    defer { place.close() }
    try step(.drop(aside.path))
    unlinkat(place.directory, aside.name, 0)
  }

  /// Puts back what a write has displaced: it cannot be told of, and must not be lost. What is in its place by now
  /// takes the name that it had, or the temporary one.
  ///
  /// - Returns: false when it is still aside.
  func putBack(_ aside: Aside) throws -> Bool {
    guard let place = try? open(aside.path, creates: false) else { return false }
    defer { place.close() }
    let directory = place.directory
    if exchanges, tf_exchange(directory, aside.name, directory, place.name) == 0 { return true }
    if !exchanges { renameat(directory, place.name, directory, aside.temporary) }
    if tf_rename_new(directory, aside.name, directory, place.name) == 0 { return true }
    guard linkat(directory, aside.name, directory, place.name, 0) == 0 else { return false }
    unlinkat(directory, aside.name, 0)
    return true
  }

  /// A directory without files is none to a store. Removes those that a removal has left empty.
  func removeEmptyDirectories(above path: String) {
    var path = path
    while let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) {
      path = String(path[..<slash])
      guard let place = try? open(path, creates: false) else { continue }
      defer { place.close() }
      if unlinkat(place.directory, place.name, AT_REMOVEDIR) != 0 { return }
    }
  }

  /// Makes what was done to the names in a path's directory last.
  func sync(directory: String) {
    guard let place = try? open(directory.isEmpty ? "." : directory + "/.", creates: false) else { return }
    fsync(place.directory)
    place.close()
  }

  // MARK: Places

  /// A name in an open directory.
  private struct Place {
    var path: String
    var directory: Int32
    var name: String

    func status() -> FileStatus? { FileStatus.of(name, in: directory) }
    func close() { Glibc.close(directory) }
  }

  /// Opens the directory of a path, name by name, through no link.
  private func open(_ path: String, creates: Bool) throws -> Place {
    var names = path.split(separator: "/").map(String.init)
    let last = names.removeLast()
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    // The root itself may be a link.
    var directory = Glibc.open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw Failure.system("the directory cannot be opened") }
    for (index, name) in names.enumerated() {
      if creates, mkdirat(directory, name, 0o777) != 0, errno != EEXIST {
        defer { Glibc.close(directory) }
        throw Failure.system("\(names[...index].joined(separator: "/")) cannot be made")
      }
      let next = openat(directory, name, flags)
      let reason = errno
      Glibc.close(directory)
      guard next >= 0 else {
        let above = names[...index].joined(separator: "/")
        throw Failure(
          message: reason == ENOTDIR || reason == ELOOP
            ? "cannot be written: \(above) is no directory, or a link to one"
            : "cannot be written: \(above): \(errorText(reason))")
      }
      directory = next
    }
    return Place(path: path, directory: directory, name: last)
  }
}
