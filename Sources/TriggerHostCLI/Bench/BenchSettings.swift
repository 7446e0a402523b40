import TriggerSQLite

/// What all measurements of one run have in common.
struct BenchSettings: Sendable {
  var operations = 1_000_000
  var keys = 10_000
  var manyKeys = 1_000_000
  var workers = 2
  var hotShare = 0.8
  var durability = Durability.memory
  /// The store is kept in a table as well.
  var keepsTable = false

  /// Enough to load the scripts, learn their cost and fill the free lists.
  var warmUp: Int { min(operations / 10, 50_000) }
}
