import TriggerCore

/// Watches the directories that an index looks into, and tells what their events mean. One thread at a time.
final class EventSource: DirectoryObserver {
  private let inotify: Inotify
  private var table: WatchTable
  private let root: String
  private let includes: @Sendable (String) -> Bool
  /// The system gave no watch for a directory: its changes would not be seen.
  private(set) var isExhausted = false

  init?(root: String, includes: @escaping @Sendable (String) -> Bool) {
    guard let inotify = Inotify() else { return nil }
    self.inotify = inotify
    self.root = root
    self.includes = includes
    table = WatchTable(includes: includes)
  }

  var file: Int32 { inotify.file }

  func enter(_ path: String, full: String) {
    guard let watch = watch(full) else { return }
    if let unused = table.enter(path, watch: watch) { inotify.unwatch(unused) }
  }

  func leave(_ path: String) {
    if let unused = table.leave(path) { inotify.unwatch(unused) }
  }

  func watch(link path: String, through steps: Set<LinkTrail.Step>) {
    let watched = steps.compactMap { step in watch(step.directory).map { (watch: $0, name: step.name) } }
    for unused in table.watch(link: path, through: watched) { inotify.unwatch(unused) }
  }

  private func watch(_ directory: String) -> Int32? {
    switch inotify.watch(directory) {
    case .watch(let watch): return watch
    case .absent: return nil
    case .exhausted:
      isExhausted = true
      return nil
    }
  }

  /// What has happened since the last call.
  func events() -> [Dirt] { inotify.events().map(dirt) }

  private func dirt(of event: WatchEvent) -> Dirt {
    var meaning = table.meaning(of: event)
    // Watched at once: what happens in them belongs to this burst.
    for directory in meaning.newDirectories { enterAll(directory) }
    for file in meaning.newFiles {
      // One that is being written shows again when it is closed.
      guard let status = FileStatus.of(root + "/" + file, followsLinks: false) else { continue }
      let isWhole = status.kind == .link || ((status.kind == .other || status.names > 1) && includes(file))
      if isWhole { meaning.dirt.paths.insert(file) }
    }
    return meaning.dirt
  }

  private func enterAll(_ path: String) {
    let full = root + "/" + path
    guard FileStatus.of(full, followsLinks: false)?.kind == .directory else { return }
    enter(path, full: full)
    guard case .success(let names) = listDirectory(full) else { return }
    for name in names where name.isUTF8 && name.isDirectoryOrLink && !FilePathPolicy.isTransient(name.text) {
      enterAll(path + "/" + name.text)
    }
  }
}
