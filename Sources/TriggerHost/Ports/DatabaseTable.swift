/// Describes the table of a database store: the table's name, and the fields of the values that have a column of their
/// own. `DatabaseStoreBackend` makes the table.
///
/// Every table has three more columns: `key` (the primary key), `value` (the fields without a column, as JSON) and
/// `version` (the seq that wrote the row).
public struct DatabaseTable: Sendable, Hashable {
  /// The type of a column: which values it can hold.
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

  /// A column for a field of the values.
  public struct Column: Sendable, Hashable {
    /// The name of the field and of the column.
    public var name: String
    /// The type of the values.
    public var type: ColumnType

    /// A column of that name and type.
    public init(_ name: String, _ type: ColumnType) {
      self.name = name
      self.type = type
    }
  }

  /// The table's name.
  public var name: String
  /// The declared columns, in the order of the table.
  public var columns: [Column]
  /// The names of the columns of each further index. The primary key always has an index.
  public var indexes: [[String]]
  /// SQL statements for views, triggers and further tables. When the file is opened, each statement that has not yet
  /// run there runs, in order. Never change a statement that has run: add a new one.
  public var migrations: [String]

  /// The description of a table. Check it with `fault`.
  public init(
    _ name: String, columns: [Column] = [], indexes: [[String]] = [], migrations: [String] = []
  ) {
    self.name = name
    self.columns = columns
    self.indexes = indexes
    self.migrations = migrations
  }

  /// The names of the columns that every table has.
  public static let ownColumns = ["key", "value", "version"]

  /// What is wrong with the name of a table or column; nil when the name is good. A good name has 1 to 64 letters,
  /// digits and `_`, and does not begin with a digit: nobody has to quote it in SQL. Some names are reserved.
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

  /// What is wrong with the name of a declared column; nil when the name is good. SQL does not tell upper from lower
  /// case.
  public static func fault(inColumn name: String) -> String? {
    ownColumns.contains(name.lowercased()) ? "is a column of every table already" : fault(inName: name)
  }

  /// The first mistake in the description; nil when there is none.
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

  /// Whether the table has the column: a declared column, or one of `ownColumns`.
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
