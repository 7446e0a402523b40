import TriggerCore

/// Applies the write set of one seq, all or none. Engine lock.
package struct Committer {
  package let reclaimer: Reclaimer
  package let limits: ValueLimits
  package let stores: StoreDirectory
  /// Most keys that a replacement of a store may have, and most that it may change: all of it happens in one commit,
  /// whatever little the script has said.
  package var mostReplaced = 100_000

  /// A key that a commit changed.
  package struct ChangedKey {
    package var table: Unmanaged<StoreTable>
    package var key: [UInt8]
  }

  /// Most bytes that the appends of one commit may put together. What is there is copied for each key: many appends of
  /// a byte to long values would be far more work than the commit is long.
  package static let longestAppends = 64 << 20

  /// O(writes and their bytes), plus the bytes of the values that are appended to, plus O(keys of the store) for a
  /// replacement: see the bounds of each.
  ///
  /// - Parameter isNew: decided now, not in an earlier run: it may be refused.
  /// - Returns: the changed keys, each at least once, when `tellsKeys`; otherwise nothing.
  @discardableResult
  package func apply(
    _ writes: borrowing WriteSet, seq: Int64, tellsKeys: Bool = false, isNew: Bool = false
  ) throws(Failure) -> [ChangedKey] {
    reclaimer.begin(seq)
    if !writes.isPlain {
      if !tellsKeys, applySum(writes, seq: seq) { return [] }
      return try applyStaged(writes, seq: seq, tellsKeys: tellsKeys, isNew: isNew)
    }
    var changed: [ChangedKey] = []
    for index in 0..<writes.count {
      let write = writes.writes + index
      guard let table = write.pointee.action.store else { continue }
      if tellsKeys { changed.append(ChangedKey(table: table, key: Array(write.pointee.keyBytes))) }
      let version = writes.takeVersion(index)
      table._withUnsafeGuaranteedRef { table in
        table.put(
          version, content: write.pointee.content, to: entry(of: write, in: table), seq: seq,
          reclaim: reclaimer)
      }
    }
    return changed
  }

  @inline(__always)
  private func entry(
    of write: UnsafeMutablePointer<WriteSet.Write>, in table: StoreTable
  ) -> UnsafeMutablePointer<Entry> {
    if let entry = write.pointee.entry, !entry.pointee.isUnlinked { return entry }
    let key = write.pointee.keyBytes
    return table.makeEntry(key.baseAddress!, key.count, hash: write.pointee.hash, reclaim: reclaimer)
  }

  /// Commutative intents and replacements look at the state, and each sees what those before it in the list did;
  /// nothing is linked until all of them could be worked out.
  private func applyStaged(
    _ writes: borrowing WriteSet, seq: Int64, tellsKeys: Bool, isNew: Bool
  ) throws(Failure) -> [ChangedKey] {
    var stage = CommitStage(writes.writes, count: writes.count)
    for index in 0..<writes.count {
      let write = writes.writes + index
      guard case .change(let change, let table) = write.pointee.action else { continue }
      switch change {
      case .put, .delete: stage.set(stage.slot(of: write, in: table), .write(index))
      case .replace: try stageReplacement(of: table, by: write.pointee.operand, into: &stage, isNew: isNew)
      case .add, .max, .min, .append, .appendText:
        try combine(change, write, at: index, in: table, into: &stage)
      }
    }
    let bytes = isNew ? stage.bytesToMake : 0
    if bytes > Self.longestAppends {
      throw Failure(
        .intent,
        "append: the values would take \(bytes) bytes together, the limit of one commit is "
          + "\(Self.longestAppends): append to fewer long values at a time")
    }
    if writes.hasStandIns, let refusal = stores.refusal(ofNew: stage.newStores) {
      throw Failure(.intent, refusal.message)
    }
    let made = stage.slots.indices.map { stage.version($0) }
    if !writes.isByKey {
      do throws(Failure) { try check(stage, made, isNew: isNew) } catch {
        for slot in made.indices where !stage.isGiven(slot) { Version.free(made[slot]) }
        throw error
      }
    }
    if writes.hasStandIns { stage.moveToNewStores { stores.make(for: $0) } }
    for slot in made.indices { link(stage, slot, made[slot], writes, seq: seq) }
    return tellsKeys ? stage.slots.map { ChangedKey(table: $0.table, key: Array($0.key)) } : []
  }

  private func link(
    _ stage: CommitStage, _ slot: Int, _ made: UnsafeMutablePointer<Version>, _ writes: borrowing WriteSet,
    seq: Int64
  ) {
    let item = stage.slots[slot]
    var (version, content) = (made, UInt64(0))
    if case .write(let place) = item.change {
      version = writes.takeVersion(place)
      content = writes.writes[place].content
    } else {
      content = Version.content(made, of: item.key)
    }
    item.table._withUnsafeGuaranteedRef { table in
      let entry =
        if let known = item.entry, !known.pointee.isUnlinked {
          known
        } else {
          table.makeEntry(item.key.baseAddress!, item.key.count, hash: item.hash, reclaim: reclaimer)
        }
      table.put(version, content: content, to: entry, seq: seq, reclaim: reclaimer)
    }
  }
}
