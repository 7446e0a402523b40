import TriggerCore

/// The paths that a commit brings into a store of files, and those that it takes out. Not every two paths can be
/// files of one directory: a system may take two spellings for one name, and none has a file that is a directory too.
/// Engine lock.
package struct FileNames {
  package let table: StoreTable
  package var new: [[UInt8]] = []
  package var gone: [[UInt8]] = []

  /// Has `StoreTable.spellings` there, where somebody will ask. O(keys) then.
  package func prepare() {
    if table.rule?.keysAreFilePaths == true, table.spellings == nil { table.spellings = spellingsThere() }
  }

  /// Brings `StoreTable.spellings` to what it is after the commit. O(changes), and `prepare` the first time.
  ///
  /// - Parameter refuses: off where the files are there already: then it must be.
  /// - Returns: which path cannot come in, and why; nothing is changed then. Nil when all can.
  package func reserve(refuses: Bool) -> String? {
    prepare()
    for path in gone { table.spellings!.remove(Self.text(path)) }
    let (leaves, left) = (Set(new), Set(gone))
    for (index, path) in new.enumerated() {
      if refuses, let reason = reason(against: path, leaves, left) {
        for path in new[..<index] { table.spellings!.remove(Self.text(path)) }
        for path in gone { table.spellings!.insert(Self.text(path)) }
        return "\(Self.text(path)): \(reason)"
      }
      table.spellings!.insert(Self.text(path))
    }
    return nil
  }

  /// After `take`: the commit does not happen.
  package func giveBack() {
    for path in new { table.spellings!.remove(Self.text(path)) }
    for path in gone { table.spellings!.insert(Self.text(path)) }
  }

  private func reason(against path: [UInt8], _ leaves: Set<[UInt8]>, _ left: Set<[UInt8]>) -> String? {
    for end in path.indices where path[end] == UInt8(ascii: "/") {
      let above = Array(path[..<end])
      if leaves.contains(above) || isThere(above) && !left.contains(above) {
        return "\(Self.text(above)) is a file, and cannot be a directory too"
      }
    }
    if let below = firstBelow(path, but: left) {
      return "it is a directory, of \(Self.text(below)), and cannot be a file too"
    }
    return table.spellings!.clash(of: Self.text(path)).map {
      "differs from \($0) only by case or Unicode form: on some systems they are one file"
    }
  }

  private func isThere(_ path: [UInt8]) -> Bool {
    path.withUnsafeBufferPointer { path in
      guard let start = path.baseAddress,
        let entry = table.entry(start, path.count, hash: KeyHash.of(start, count: path.count)),
        let version = Entry.visible(entry, at: .max)
      else { return false }
      return !version.isDeleted
    }
  }

  private func firstBelow(_ path: [UInt8], but left: Set<[UInt8]>) -> [UInt8]? {
    var first: [UInt8]?
    (path + [UInt8(ascii: "/")]).withUnsafeBufferPointer { prefix in
      table.scan(prefix: prefix, at: .max) { entry, _ in
        let key = Array(Entry.keyBytes(entry))
        if !left.contains(key) { first = key }
        return first == nil
      }
    }
    return first
  }

  private func spellingsThere() -> FileSpellings {
    var spellings = FileSpellings()
    table.scan(prefix: UnsafeBufferPointer(start: nil, count: 0), at: .max) { entry, _ in
      spellings.insert(Self.text(Array(Entry.keyBytes(entry))))
      return true
    }
    return spellings
  }

  private static func text(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }
}
