import TriggerCore
import TriggerHost

extension SQLiteLogSource {
  package func scriptTrees() throws -> [KeptScriptTree] {
    var trees: [KeptScriptTree] = []
    try database.run("SELECT number, time, seed, seq FROM script_trees ORDER BY number") { row in
      trees.append(
        KeptScriptTree(identity: try ScriptTrees.identity(row), seq: row.int(3) > 0 ? row.int(3) : nil))
    }
    let places = Dictionary(uniqueKeysWithValues: trees.enumerated().map { ($1.identity.number, $0) })
    try database.run("SELECT path, tree, content IS NULL FROM script_files ORDER BY path") { row in
      guard let place = places[Int(row.int(1))] else { return }
      if row.int(2) == 0 {
        trees[place].changed.append(row.text(0))
      } else {
        trees[place].removed.append(row.text(0))
      }
    }
    return trees
  }

  package func newestTree() throws -> ScriptTree.Identity? { try ScriptTrees(database: database).newest() }

  package func tree(_ number: Int) throws -> (identity: ScriptTree.Identity, files: [String: [UInt8]])? {
    try ScriptTrees(database: database).tree(number)
  }

  package func waitingScripts() throws -> [ScriptReload.Waiting] {
    // The table came later than the format: a directory of before gets it when it is needed.
    guard try database.integer("SELECT 1 FROM sqlite_master WHERE name = 'waiting_files'") != nil else {
      return []
    }
    var files: [ScriptReload.Waiting] = []
    try database.run("SELECT path, burst, size, hash FROM waiting_files ORDER BY path") { row in
      let size = Int(row.int(2))
      let content = size < 0 ? nil : FileContent.ID(size: size, hash: UInt64(bitPattern: row.int(3)))
      files.append(ScriptReload.Waiting(path: row.text(0), burst: Int(row.int(1)), content: content))
    }
    return files
  }
}
