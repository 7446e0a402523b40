import TriggerCore
import TriggerHost
import TriggerSQLite

/// Compares every row with the store as of a view and puts right what differs. O(rows + keys).
struct TableComparison {
  /// Keys of one kind of difference: how many, and the first few.
  struct Keys {
    static let shown = 10
    private(set) var count = 0
    private var first: [String] = []

    mutating func add(_ key: [UInt8]) {
      count += 1
      if first.count < Self.shown { first.append(String(decoding: key, as: UTF8.self)) }
    }

    /// `a, b and 7 more`.
    var text: String {
      let names = first.joined(separator: ", ")
      return count > first.count ? "\(names) and \(count - first.count) more" : names
    }
  }

  /// Rows that were of an older seq, or had another layout.
  private(set) var behind = 0
  /// Rows of seqs that the log does not have.
  private(set) var ahead = Keys()
  /// Rows that nobody but the host may have written, and that are not what the host wrote.
  private(set) var foreign = Keys()

  private let view: StoreView
  private let file: TableFile
  /// The table should be the store as of this seq, as far as the log goes back to it; nil: nothing is known of
  /// it, and every difference is ours.
  private let claim: Int64?
  /// The table has seen seqs after `claim` that the log does not have.
  private let isAhead: Bool

  init(_ view: StoreView, _ file: TableFile, claim: Int64?, isAhead: Bool = false) {
    self.view = view
    self.file = file
    self.claim = claim
    self.isAhead = isAhead
  }

  /// Inside a transaction of the file's.
  ///
  /// - Parameter misfit: gets the fields that their columns do not hold.
  mutating func run(misfit: (RowCoding.Misfit, _ key: [UInt8]) -> Void) throws {
    try file.forEachRow { row in
      let key = row.key.bytes
      guard let item = view.item(key), row.key == Database.Cell(key: key) else {
        note(key, row: row.version, store: nil)
        return try file.delete(row.key)
      }
      let cells = file.coding.cells(of: item.value) { misfit($0, key) }
      if row.version == item.version, row.cells == cells { return }
      note(key, row: row.version, store: item.version)
      try file.put(row.key, cells, version: item.version)
    }
    try addMissing(misfit)
  }

  /// All rows are in the store now, so equal counts mean that none is missing.
  private mutating func addMissing(_ misfit: (RowCoding.Misfit, _ key: [UInt8]) -> Void) throws {
    var keys: Int64 = 0
    view.forEachKey { _ in keys += 1 }
    let rows = try file.rowCount()
    if rows == keys { return }
    try view.forEachKey { key in
      let cell = Database.Cell(key: key)
      if rows > 0, try file.has(cell) { return }
      let item = view.item(key)!
      note(key, row: nil, store: item.version)
      try file.add(
        cell, file.coding.cells(of: item.value) { misfit($0, key) }, version: item.version)
    }
  }

  /// Counts a difference: the versions of the row and of the store, nil where there is none.
  private mutating func note(_ key: [UInt8], row: Int64?, store: Int64?) {
    guard let claim else { return behind += 1 }
    switch (row, store) {
    case (let row?, _) where row > claim: isAhead ? ahead.add(key) : foreign.add(key)
    case (_, let store?) where store > claim: behind += 1
    // Of a deletion nothing is left that tells its seq.
    case (_?, nil) where claim < view.seq: behind += 1
    case (nil, _) where isAhead: ahead.add(key)
    default: foreign.add(key)
    }
  }
}

extension Database.Cell {
  /// A store's key.
  init(key: [UInt8]) { self = .text(key) }

  /// The key that a cell stands for.
  var bytes: [UInt8] {
    switch self {
    case .text(let bytes), .blob(let bytes): bytes
    case .int(let number): Array("\(number)".utf8)
    case .double(let number): Array("\(number)".utf8)
    case .null: []
    }
  }
}
