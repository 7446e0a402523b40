import TriggerCore
import TriggerHost

extension LogJob {
  /// In the transaction of a group.
  func run(on database: Database) throws {
    switch self {
    case .part(let part, let checksum, let number, let checkpoint):
      try Self.write(part, checksum, number: number, of: checkpoint, to: database)
    case .foldPiece(let bytes, let number, let checkpoint):
      try FoldParts.write(bytes, number: number, of: checkpoint, to: database)
    case .checkpoint(let checkpoint, let fold, let digests):
      try Self.write(checkpoint, fold, digests, to: database)
    case .keyParts(let parts, let first, let through, let seed):
      for (offset, part) in parts.enumerated() {
        try KeyParts.write(part, number: first + Int64(offset), through: through, seed: seed, to: database)
      }
    case .tree(let identity, let changed, let removed, let seq):
      try ScriptTrees(database: database).write(identity, changed: changed, removed: removed, seq: seq)
    case .treeInForce(let number, let seq):
      try database.run(
        "UPDATE script_trees SET seq = ? WHERE number = ? AND seq = 0", [.int(seq), .int(Int64(number))])
    case .waiting(let files): try ScriptTrees(database: database).write(waiting: files)
    case .schedule(let name, let rule, let since):
      try database.run(
        "INSERT OR REPLACE INTO schedules VALUES (?, ?, ?)", [.text(name), .text(rule), .int(since)])
    case .confirmed(let receiver, let seq):
      try database.run("INSERT OR REPLACE INTO receivers VALUES (?, ?)", [.text(receiver), .int(seq)])
    case .sessions(let changed, let removed):
      for row in changed {
        try row.state.withUnsafeBytes { state in
          try database.run(
            "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)",
            [.text(row.id), .int(LogBlock.checksum(state)), .blob(state)])
        }
      }
      for id in removed { try database.run("DELETE FROM sessions WHERE id = ?", [.text(id)]) }
    case .mark(let seq, let mark, let time):
      try database.run(
        "INSERT INTO dead_marks VALUES (?, ?, ?)", [.int(seq), .text(mark.rawValue), .int(time)])
    case .dropBlocks, .dropCheckpoint, .dropParts, .dropKeyParts, .shrink: try letGo(on: database)
    }
  }

  private func letGo(on database: Database) throws {
    switch self {
    case .dropBlocks(let seq):
      try Self.note(cut: seq, in: database)
      try database.run("DELETE FROM blocks WHERE first <= ?1 AND last <= ?1", [.int(seq)])
    case .dropCheckpoint(let id): try database.run("DELETE FROM checkpoints WHERE id = ?", [.int(id)])
    case .dropParts(let id, let most):
      try database.run(
        "DELETE FROM chunks WHERE rowid IN (SELECT rowid FROM chunks WHERE checkpoint = ? LIMIT ?)",
        [.int(id), .int(Int64(most))])
    case .dropKeyParts(let numbers):
      for number in numbers { try database.run("DELETE FROM key_parts WHERE number = ?", [.int(number)]) }
    // Pages that are free, each of which may have another page moved into its place.
    case .shrink: try database.run("PRAGMA incremental_vacuum(256)")
    default: break
    }
  }

  /// What the first block that stays is checked against: where the last one ended that goes.
  private static func note(cut seq: Int64, in database: Database) throws {
    for (name, column) in [("cut", "last"), ("cut_chain", "chain"), ("cut_epoch", "epoch")] {
      try database.run(
        "INSERT OR REPLACE INTO meta SELECT ?1, \(column) FROM blocks WHERE first <= ?2 AND last <= ?2 ORDER BY first DESC LIMIT 1",
        [.text(name), .int(seq)])
    }
  }

  private static func write(
    _ part: StorePart, _ checksum: Int64, number: Int64, of id: Int64, to database: Database
  ) throws {
    let (rest, cuts) = try part.bytes.withUnsafeBytes { bytes in
      part.contents.isEmpty ? (part.bytes, []) : try Contents(database: database).cut(bytes, part.contents)
    }
    try rest.withUnsafeBytes { rest in
      try database.run(
        "INSERT INTO chunks (checkpoint, number, checksum, data, cuts) VALUES (?, ?, ?, ?, ?)",
        [.int(id), .int(number), .int(checksum), .blob(rest), .int(Int64(cuts.count))])
    }
    for cut in cuts {
      try database.run(
        "INSERT INTO chunk_cuts VALUES (?, ?, ?, ?)",
        [.int(id), .int(number), .int(Int64(cut.offset)), .int(cut.content)])
    }
  }

  private static func write(
    _ kept: KeptCheckpoint, _ fold: [UInt8], _ digests: [UInt8], to database: Database
  ) throws {
    try fold.withUnsafeBytes { fold in
      try digests.withUnsafeBytes { digests in
        try database.run(
          "INSERT INTO checkpoints (\(KeptCheckpoint.columns), fold, digests) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          [
            .int(kept.id), .int(kept.since), .int(kept.last), .int(kept.time), .int(kept.checksum),
            .int(kept.parts), .int(kept.bytes), .int(kept.seal), .blob(fold), .blob(digests),
          ])
      }
    }
  }
}
