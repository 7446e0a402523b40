import Foundation
import HostConfig
import TriggerFiles

/// Files of a directory that are to be written or removed: all of them, or none when one cannot be.
struct DirectoryChange {
  let root: String
  /// By path, relative to the directory.
  let written: [String: [UInt8]]
  let removed: [String]

  /// A new content that lies beside its place.
  private struct Staged {
    var temporary: String
    var path: String
  }

  /// Everything is tried out first: new contents are written beside their places, which takes most of the time and
  /// may fail, and then they only take their names.
  ///
  /// - Throws: `ConfigProblem`. Nothing has changed then, unless it says so.
  func make() throws(ConfigProblem) {
    for path in removed { try checkWritable(FilePath.parent(of: full(path)), for: path) }
    for path in written.keys.sorted() { try checkPlace(path) }
    var staged: [Staged] = []
    do throws(ConfigProblem) {
      for path in written.keys.sorted() { staged.append(try stage(path, written[path]!, staged.count)) }
    } catch {
      for item in staged { unlink(item.temporary) }
      throw error
    }
    for path in removed { try remove(path) }
    for item in staged { try put(item) }
  }

  private func full(_ path: String) -> String { FilePath.join(root, path) }

  private func fault(_ path: String, _ message: String) -> ConfigProblem {
    ConfigProblem(file: full(path), message: "\(message); nothing was changed")
  }

  // MARK: Trying

  private func checkWritable(_ directory: String, for path: String) throws(ConfigProblem) {
    if access(directory, W_OK | X_OK) != 0 { throw fault(path, "cannot be changed: \(errorText(errno))") }
  }

  /// A directory may be in the place of a file, and the other way round: if nothing is left of it.
  private func checkPlace(_ path: String) throws(ConfigProblem) {
    for ancestor in Self.ancestors(of: path) {
      guard let status = FileStatus.of(full(ancestor)) else { break }
      if status.kind != .directory, !removed.contains(ancestor) {
        throw fault(path, "cannot be written: \(full(ancestor)) is in the way, it is no directory")
      }
    }
    guard FileStatus.of(full(path), followsLinks: false)?.kind == .directory else { return }
    for other in FileManager.default.enumerator(atPath: full(path)) ?? FileManager.DirectoryEnumerator() {
      guard let name = other as? String else { continue }
      let inside = FilePath.join(path, name)
      let isDirectory = FileStatus.of(full(inside), followsLinks: false)?.kind == .directory
      if !isDirectory, !removed.contains(inside) {
        throw fault(path, "cannot be written: it is a directory, with \(name) in it")
      }
    }
  }

  /// `a` and `a/b` of `a/b/c`.
  private static func ancestors(of path: String) -> [String] {
    path.indices.filter { path[$0] == "/" }.map { String(path[..<$0]) }
  }

  private func stage(_ path: String, _ bytes: [UInt8], _ number: Int) throws(ConfigProblem) -> Staged {
    let directory =
      Self.ancestors(of: path).last { FileStatus.of(full($0))?.kind == .directory }.map(full) ?? root
    let temporary = FilePath.join(directory, ".rollback-\(getpid())-\(number)")
    if let code = Self.write(bytes, to: temporary) {
      unlink(temporary)
      throw fault(path, "cannot be written: \(errorText(code))")
    }
    // A file keeps its permissions.
    if let old = FileStatus.of(full(path)), old.kind == .file { chmod(temporary, mode_t(old.mode)) }
    return Staged(temporary: temporary, path: path)
  }

  /// The error number when it does not work.
  private static func write(_ bytes: [UInt8], to path: String) -> Int32? {
    guard let file = fopen(path, "w") else { return errno }
    let code = fwrite(bytes, 1, bytes.count, file) == bytes.count ? nil : errno
    return fclose(file) == 0 ? code : code ?? errno
  }

  // MARK: Doing

  private func remove(_ path: String) throws(ConfigProblem) {
    guard unlink(full(path)) == 0 || errno == ENOENT else { throw halfDone(path, "cannot be removed") }
    // What is not empty stays.
    for ancestor in Self.ancestors(of: path).reversed() where rmdir(full(ancestor)) != 0 { break }
  }

  private func put(_ item: Staged) throws(ConfigProblem) {
    for ancestor in Self.ancestors(of: item.path) { mkdir(full(ancestor), 0o777) }
    removeEmptyDirectory(item.path)
    guard rename(item.temporary, full(item.path)) == 0 else { throw halfDone(item.path, "cannot be written") }
  }

  /// Directories in directories, without a file.
  private func removeEmptyDirectory(_ path: String) {
    guard FileStatus.of(full(path), followsLinks: false)?.kind == .directory else { return }
    let inside = (try? FileManager.default.contentsOfDirectory(atPath: full(path))) ?? []
    for name in inside { removeEmptyDirectory(FilePath.join(path, name)) }
    rmdir(full(path))
  }

  private func halfDone(_ path: String, _ message: String) -> ConfigProblem {
    ConfigProblem(
      file: full(path),
      message: "\(message): \(errorText(errno)); others are changed already, mend this and do it again")
  }
}
