/// What the table of a database store looks like: how it is called, and which fields of the values have a column
/// of their own. A description only; `DatabaseStoreBackend` makes the table.
///
/// Every table has `key` (the primary key), `value` (JSON of what has no column) and `version` (the seq that wrote
/// the row) as well.
public struct DatabaseTable: Sendable, Hashable {
  /// What a column holds, and which values fit.
  public enum ColumnType: String, Sendable, CaseIterable {
    /// Text in UTF-8.
    case text
    /// Whole numbers of 64 bits; a float without a fraction fits too.
    case integer
    /// Floats; an integer that a float holds exactly (up to 2^53) fits too.
    case real
    /// `true` is 1, `false` is 0.
    case boolean
    /// Any value, as JSON text.
    case json
    /// Byte strings; text fits too, as its UTF-8.
    case blob
  }

  /// A field of the values with a column of its own.
  public struct Column: Sendable, Hashable {
    /// Name of the field and of the column.
    public var name: String
    /// What it holds.
    public var type: ColumnType

    /// A column of that name and type.
    public init(_ name: String, _ type: ColumnType) {
      self.name = name
      self.type = type
    }
  }

  /// The table's name.
  public var name: String
  /// In the order of the table.
  public var columns: [Column]
  /// The columns of each index, besides the primary key's.
  public var indexes: [[String]]
  /// SQL that is run once each, in order, when the file is opened: views, triggers, further tables. What was run
  /// once must stay as it is; a change is a new migration.
  public var migrations: [String]

  /// A table of that name.
  public init(
    _ name: String, columns: [Column] = [], indexes: [[String]] = [], migrations: [String] = []
  ) {
    self.name = name
    self.columns = columns
    self.indexes = indexes
    self.migrations = migrations
  }

  /// Columns that every table has.
  public static let ownColumns = ["key", "value", "version"]

  /// What is wrong with a name of a table or column, nil when nothing is: letters, digits and `_`, not beginning
  /// with a digit, at most 64, so that nobody has to quote it.
  public static func fault(inName name: String) -> String? {
    if name.isEmpty { return "is empty" }
    if name.utf8.count > 64 { return "is longer than 64 bytes" }
    let first = name.utf8.first!
    let isGood = name.utf8.allSatisfy { byte in
      byte == UInt8(ascii: "_") || isDigit(byte) || isLetter(byte)
    }
    if !isGood || isDigit(first) {
      return "must be letters, digits and `_`, not beginning with a digit"
    }
    let lower = name.lowercased()
    return lower.hasPrefix("sqlite_") || lower.hasPrefix("trigger_host") ? "is reserved" : nil
  }

  /// What is wrong with the name of a declared column, nil when nothing is. SQL does not tell upper from lower case.
  public static func fault(inColumn name: String) -> String? {
    ownColumns.contains(name.lowercased()) ? "is a column of every table already" : fault(inName: name)
  }

  /// The first thing that is wrong, nil when nothing is.
  public var fault: String? {
    if let fault = Self.fault(inName: name) { return "the table name `\(name)` \(fault)" }
    var seen: Set<String> = []
    for column in columns {
      if let fault = Self.fault(inColumn: column.name) { return "the column name `\(column.name)` \(fault)" }
      if !seen.insert(column.name.lowercased()).inserted {
        return "the column name `\(column.name)` is used twice"
      }
    }
    for index in indexes {
      if index.isEmpty { return "an index needs a column" }
      for name in index where !isColumn(name) { return "an index names `\(name)`, which is no column" }
    }
    return nil
  }

  /// True for a declared column and for those that every table has.
  public func isColumn(_ name: String) -> Bool {
    Self.ownColumns.contains(name) || columns.contains { $0.name == name }
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }
  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }
}
