import TriggerCore

/// What stores refuse.
extension Committer {
  /// What a list does to a store that has a rule.
  private struct Growth {
    var names: FileNames
    var keys = 0
    var bytes = 0
    var table: StoreTable { names.table }
  }

  /// Asks the rules of the stores about what the list leaves.
  ///
  /// - Parameters:
  ///   - made: the version of each slot.
  ///   - isNew: off for a list that was decided before: nothing is refused, but the names are taken where
  ///     others have been.
  package func check(
    _ stage: CommitStage, _ made: [UnsafeMutablePointer<Version>], isNew: Bool
  ) throws(Failure) {
    var growth: [UnsafeMutableRawPointer: Growth] = [:]
    for (slot, version) in zip(stage.slots, made) {
      let table = slot.table.takeUnretainedValue()
      guard let rule = table.rule, isNew || table.spellings != nil else { continue }
      if isNew, let refusal = rule.refusal(of: slot.key, version.isDeleted ? nil : Version.value(version)) {
        throw refused(by: table, "\(String(decoding: slot.key, as: UTF8.self)): \(refusal)")
      }
      add(
        slot, version, to: &growth[slot.table.toOpaque(), default: Growth(names: FileNames(table: table))])
    }
    let sums = growth.values.sorted { $0.table.name < $1.table.name }
    for item in sums where isNew && (item.keys > 0 || item.bytes > 0) {
      let refusal = item.table.rule?.refusal(
        ofKeys: item.table.liveKeys.load(ordering: .relaxed) + max(item.keys, 0),
        bytes: item.table.liveBytes.load(ordering: .relaxed) + max(item.bytes, 0))
      if let refusal { throw refused(by: item.table, refusal) }
    }
    // A commit of the host's own tells of files that are there.
    let refuses = isNew && !stage.slots.contains { $0.table._withUnsafeGuaranteedRef { $0.isInternal } }
    try reserveNames(sums.filter { $0.table.rule!.keysAreFilePaths }.map(\.names), refuses: refuses)
  }

  private func refused(by table: StoreTable, _ reason: String) -> Failure {
    Failure(.refused, "refused by store '\(table.name)': \(reason)")
  }

  private func add(
    _ slot: CommitStage.Slot, _ version: UnsafeMutablePointer<Version>, to sum: inout Growth
  ) {
    let old = CommitStage.committed(slot)
    if let old {
      sum.keys -= 1
      sum.bytes -= slot.key.count + Int(old.pointee.length)
    }
    if !version.isDeleted {
      sum.keys += 1
      sum.bytes += slot.key.count + Int(version.pointee.length)
    }
    if old == nil, !version.isDeleted { sum.names.new.append(Array(slot.key)) }
    if old != nil, version.isDeleted { sum.names.gone.append(Array(slot.key)) }
  }

  /// Last of all: nothing is refused afterwards.
  private func reserveNames(_ names: [FileNames], refuses: Bool) throws(Failure) {
    for (index, item) in names.enumerated() where !item.new.isEmpty || !item.gone.isEmpty {
      guard let refusal = item.reserve(refuses: refuses) else { continue }
      for taken in names[..<index] { taken.giveBack() }
      throw refused(by: item.table, refusal)
    }
  }
}
