/// Names that tools give to the copies they leave beside a file: nobody means such a copy to run, and it would do once more
/// what its original does.
enum CopiedScript {
  /// The path of the script that `path` is a copy of; nil when it is none, as far as its name says.
  ///
  /// - Parameter exists: whether there is a script of this path. Some names are a copy's only beside their original.
  static func original(of path: String, exists: (String) -> Bool) -> String? {
    guard path.hasSuffix(".lua") else { return nil }
    let start = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
    let stem = path[start...].dropLast(4)
    func script(_ stem: Substring) -> String? { stem.isEmpty ? nil : path[..<start] + stem + ".lua" }
    if let range = rangeOfConflict(in: stem) { return script(stem[..<range.lowerBound]) }
    return nameOfCopied(stem).flatMap(script).flatMap { exists($0) ? $0 : nil }
  }

  /// Nobody gives such a name by hand: Syncthing's `x.sync-conflict-20260102-030405-ABCDEFG`
  /// (https://docs.syncthing.net/users/syncing.html), Dropbox's and Nextcloud's `x (Ada's conflicted copy 2026-01-02)`,
  /// ownCloud's `x_conflict-20260102-030405`, and what `git mergetool` works with, `x_LOCAL_123`.
  private static func rangeOfConflict(in stem: Substring) -> Range<String.Index>? {
    let sync = #/\.sync-conflict-\d{8}-\d{6}(?:-[A-Z0-9]{7})?$/#
    let cloud = #/ \([^()]*conflicted copy[^()]*\)$|_conflict-\d{8}-\d{6}$/#
    let merge = #/_(?:LOCAL|REMOTE|BASE|BACKUP)_\d+$/#
    return [sync, cloud, merge].lazy.compactMap { stem.firstMatch(of: $0)?.range }.first
  }

  /// What file managers and browsers call a copy: `x copy 2`, `x - Copy (2)`, `x (another copy)`, `x (1)`, `Copy of x`.
  private static func nameOfCopied(_ stem: Substring) -> Substring? {
    if stem.hasPrefix("Copy of ") { return stem.dropFirst(8) }
    let ending =
      #/ copy(?: \d+)?$| - Copy(?: \(\d+\))?$| \((?:copy|another copy|\d+(?:st|nd|rd|th) copy|\d+)\)$/#
    return stem.firstMatch(of: ending).map { stem[..<$0.range.lowerBound] }
  }
}
