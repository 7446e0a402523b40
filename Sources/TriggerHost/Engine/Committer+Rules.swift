import TriggerCore

/// What stores refuse.
extension Committer {
  private static let refusal = "refused by store "

  /// Whether an error tells of what a store's backend does not take: that is not in the log.
  static func isRefusal(_ error: String?) -> Bool { error?.hasPrefix(refusal) == true }

  /// What a list does to a store that has a rule.
  private struct Growth {
    var names: FileNames
    var keys = 0
    var bytes = 0
    var table: StoreTable { names.table }
  }

  /// Asks the rules of the stores about what the list leaves.
  ///
  /// - Parameter isNew: off for a list that was decided before: nothing is refused, but the names are taken where
  ///   others have been.
  func check(_ staged: Stage, isNew: Bool) throws(Failure) {
    var growth: [UnsafeMutableRawPointer: Growth] = [:]
    for item in staged.newest {
      let table = item.table.takeUnretainedValue()
      guard let rule = table.rule, isNew || table.spellings != nil else { continue }
      let value = item.version.isDeleted ? nil : Version.value(item.version)
      if isNew, let refusal = item.key.withUnsafeBufferPointer({ rule.refusal(of: $0, value) }) {
        throw refused(by: table, "\(String(decoding: item.key, as: UTF8.self)): \(refusal)")
      }
      let old = committed(item.key, Self.hash(of: item.key), in: item.table)
      add(
        item, after: old, to: &growth[item.table.toOpaque(), default: Growth(names: FileNames(table: table))])
    }
    let sums = growth.values.sorted { $0.table.name < $1.table.name }
    for item in sums where isNew && (item.keys > 0 || item.bytes > 0) {
      let refusal = item.table.rule?.refusal(
        ofKeys: item.table.liveKeys.load(ordering: .relaxed) + max(item.keys, 0),
        bytes: item.table.liveBytes.load(ordering: .relaxed) + max(item.bytes, 0))
      if let refusal { throw refused(by: item.table, refusal) }
    }
    // A commit of the host's own tells of files that are there.
    let refuses = isNew && !staged.items.contains { $0.table._withUnsafeGuaranteedRef { $0.isInternal } }
    try takeNames(sums.filter { $0.table.rule!.keysAreFilePaths }.map(\.names), refuses: refuses)
  }

  private func refused(by table: StoreTable, _ reason: String) -> Failure {
    Failure(message: "\(Self.refusal)'\(table.name)': \(reason)")
  }

  private func add(_ item: Staged, after old: UnsafeMutablePointer<Version>?, to sum: inout Growth) {
    let old = old.flatMap { $0.isDeleted ? nil : $0 }
    if let old {
      sum.keys -= 1
      sum.bytes -= item.key.count + Int(old.pointee.length)
    }
    if !item.version.isDeleted {
      sum.keys += 1
      sum.bytes += item.key.count + Int(item.version.pointee.length)
    }
    if old == nil, !item.version.isDeleted { sum.names.new.append(item.key) }
    if old != nil, item.version.isDeleted { sum.names.gone.append(item.key) }
  }

  /// Last of all: nothing is refused afterwards.
  private func takeNames(_ names: [FileNames], refuses: Bool) throws(Failure) {
    for (index, item) in names.enumerated() where !item.new.isEmpty || !item.gone.isEmpty {
      guard let refusal = item.take(refuses: refuses) else { continue }
      for taken in names[..<index] { taken.giveBack() }
      throw refused(by: item.table, refusal)
    }
  }
}
