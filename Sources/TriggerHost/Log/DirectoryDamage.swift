/// Something in a data directory that is not what was written.
public struct DirectoryDamage: Sendable, Hashable, CustomStringConvertible {
  /// What it is in: a block of records, a checkpoint, a script tree, the file.
  public var place: String
  /// What is wrong with it, and what that costs.
  public var what: String

  /// - Parameter path: the directory, which need not be named in each.
  package init(_ place: String, _ what: String, in path: String) {
    self.place = place
    self.what = what.hasPrefix(path + ": ") ? String(what.dropFirst(path.count + 2)) : what
  }

  /// One line.
  public var description: String { what.contains(place) ? what : "\(place): \(what)" }
}
