import TriggerCore

/// One thing that happened in a watched directory.
struct WatchEvent: Equatable {
  enum Kind { case written, created, appeared, vanished, attributes, watchGone, selfGone, overflow }
  var watch: Int32
  var kind: Kind
  var isDirectory = false
  /// The entry; nil for the directory itself, and `isUTF8` false for a name that cannot be shown.
  var name: String?
  var isUTF8 = true
}

/// Which watch stands for which directories and links, and what an event under it means.
///
/// The system gives one watch per directory, whatever path leads to it; several paths may share it (links,
/// and for a moment a directory that was moved).
struct WatchTable {
  private struct Use {
    var directories: Set<String> = []
    /// Entry to the links that lead through it.
    var links: [String: Set<String>] = [:]

    var isEmpty: Bool { directories.isEmpty && links.isEmpty }
  }

  private var uses: [Int32: Use] = [:]
  private var watchOfDirectory: [String: Int32] = [:]
  private var stepsOfLink: [String: [(watch: Int32, name: String)]] = [:]
  private let includes: @Sendable (String) -> Bool

  init(includes: @escaping @Sendable (_ path: String) -> Bool = { _ in true }) { self.includes = includes }

  /// What an event means.
  struct Meaning: Equatable {
    var dirt = Dirt()
    /// Directories that are new here: to be watched at once, with what is in them.
    var newDirectories: [String] = []
    /// New files: complete unless somebody is about to write them.
    var newFiles: [String] = []
  }

  // MARK: Watches

  /// - Returns: a watch that nobody uses any more.
  mutating func enter(_ path: String, watch: Int32) -> Int32? {
    let old = watchOfDirectory[path]
    if old == watch { return nil }
    let unused = old == nil ? nil : leave(path)
    watchOfDirectory[path] = watch
    uses[watch, default: Use()].directories.insert(path)
    return unused
  }

  /// - Returns: a watch that nobody uses any more.
  mutating func leave(_ path: String) -> Int32? {
    guard let watch = watchOfDirectory.removeValue(forKey: path) else { return nil }
    uses[watch]?.directories.remove(path)
    return dropIfUnused(watch)
  }

  /// - Returns: watches that nobody uses any more.
  mutating func watch(link: String, through steps: [(watch: Int32, name: String)]) -> [Int32] {
    let old = stepsOfLink.updateValue(steps, forKey: link) ?? []
    if steps.isEmpty { stepsOfLink[link] = nil }
    for step in old {
      uses[step.watch]?.links[step.name]?.remove(link)
      if uses[step.watch]?.links[step.name]?.isEmpty == true { uses[step.watch]?.links[step.name] = nil }
    }
    for step in steps { uses[step.watch, default: Use()].links[step.name, default: []].insert(link) }
    return old.compactMap { dropIfUnused($0.watch) }
  }

  private mutating func dropIfUnused(_ watch: Int32) -> Int32? {
    guard let use = uses[watch], use.isEmpty else { return nil }
    uses[watch] = nil
    return watch
  }

  // MARK: Events

  /// Events of watches that are gone mean nothing.
  mutating func meaning(of event: WatchEvent) -> Meaning {
    var meaning = Meaning()
    if event.kind == .overflow {
      meaning.dirt = .everything
      return meaning
    }
    guard let use = uses[event.watch] else { return meaning }
    switch event.kind {
    case .watchGone, .selfGone:
      meaning.dirt.paths = use.directories
      meaning.dirt.links = !use.links.isEmpty
      if event.kind == .watchGone { forget(event.watch, use) }
    default:
      guard let name = event.name else { break }
      meaning.dirt.links = use.links[name] != nil
      guard event.isUTF8 else {
        meaning.dirt.paths = use.directories
        break
      }
      for directory in use.directories { add(event, name, in: directory, to: &meaning) }
    }
    return meaning
  }

  private func add(
    _ event: WatchEvent, _ name: String, in directory: String, to meaning: inout Meaning
  ) {
    let path = directory.isEmpty ? name : directory + "/" + name
    if TemporaryName.isOne(name), event.kind == .written { meaning.dirt.temporaries.insert(path) }
    if FilePathPolicy.isTransient(name) { return }
    if event.isDirectory {
      meaning.dirt.paths.insert(path)
      if event.kind == .created || event.kind == .appeared { meaning.newDirectories.append(path) }
    } else if event.kind == .created {
      meaning.newFiles.append(path)
    } else if includes(path) || event.kind == .vanished || event.kind == .appeared {
      // What has gone, or come by a rename, may be a link to a directory.
      meaning.dirt.paths.insert(path)
    }
  }

  private mutating func forget(_ watch: Int32, _ use: Use) {
    uses[watch] = nil
    for directory in use.directories { watchOfDirectory[directory] = nil }
    for links in use.links.values {
      for link in links { stepsOfLink[link]?.removeAll { $0.watch == watch } }
    }
  }
}
