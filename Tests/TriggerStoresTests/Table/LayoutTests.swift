import Foundation
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite
@testable import TriggerStores

/// Columns, indexes and migrations change with the declaration.
@Suite struct LayoutTests {
  private let directory = TemporaryDirectory()
  private var path: String { directory.path }
  private var table = DatabaseTable("orders", columns: [.init("symbol", .text)])

  /// Starts a host with a table, writes, ends it, and gives the rows as `key symbol ... value version`.
  private func run(_ table: DatabaseTable, _ changes: [String: Value?] = [:]) async throws -> [String] {
    let host = try TableHost(path, [table])
    if !changes.isEmpty { try await host.write("orders", changes) }
    host.close()
    #expect(host.notices.count("error") == 0, "\(host.notices.texts)")
    return try rows(table)
  }

  private func rows(_ table: DatabaseTable) throws -> [String] {
    let columns = table.columns.map { "ifnull(\($0.name), '-')" } + ["ifnull(value, '-')", "version"]
    var rows: [String] = []
    try client(table).run("SELECT \(columns.joined(separator: " || ' ' || ")) FROM orders ORDER BY \"key\"") {
      rows.append($0.text(0))
    }
    return rows
  }

  private func client(_ table: DatabaseTable) throws -> Database {
    try Database(path: directory.file(table), creates: false)
  }

  @Test func columnsComeAndGo() async throws {
    var table = table
    let written: [String: Value?] = [
      "1": ["symbol": "a", "quantity": 5, "price": 2], "2": ["symbol": "b", "quantity": "many"], "3": 7,
    ]
    #expect(
      try await run(table, written) == [
        #"a {"price":2,"quantity":5} 1"#, #"b {"quantity":"many"} 1"#, "- 7 1",
      ])
    table.columns += [.init("quantity", .integer), .init("price", .real)]
    table.indexes = [["symbol", "quantity"]]
    #expect(try await run(table) == ["a 5 2.0 - 1", #"b - - {"quantity":"many"} 1"#, "- - - 7 1"])
    // The type changes: the text fits now, the number does not.
    table.columns[1].type = .text
    #expect(try await run(table) == [#"a - 2.0 {"quantity":5} 1"#, "b many - - 1", "- - - 7 1"])
    #expect(
      try client(table).integer("SELECT count(*) FROM sqlite_schema WHERE name = 'orders_by_symbol_quantity'")
        == 1)
    (table.columns, table.indexes) = ([.init("price", .real)], [])
    #expect(
      try await run(table)
        == [#"2.0 {"quantity":5,"symbol":"a"} 1"#, #"- {"quantity":"many","symbol":"b"} 1"#, "- 7 1"])
    #expect(try client(table).integer("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'orders_by%'") == 0)
    table.columns[0].name = "Price"
    #expect(try await run(table)[0] == #"- {"price":2,"quantity":5,"symbol":"a"} 1"#)
  }

  /// New columns are filled when the file is opened, before the log is read.
  @Test func newColumnsAreFilledAtOnce() async throws {
    var table = table
    _ = try await run(table, ["1": ["symbol": "a", "quantity": 5]])
    table.columns.append(.init("quantity", .integer))
    let history = try DataDirectory(path: path).history()
    let backend = try DatabaseStoreBackend(
      path: directory.file(table), store: "orders", table: table, history: history)
    #expect(try rows(table) == ["a 5 - 1"])
    withExtendedLifetime(backend) {}
  }

  @Test func misfitsAreToldOnce() async throws {
    let table = DatabaseTable("orders", columns: [.init("quantity", .integer), .init("note", .text)])
    let host = try TableHost(path, [table])
    for n in 1...5 {
      try await host.write("orders", ["k\(n)": ["quantity": "x", "note": .null], "l": ["quantity": 1.5]])
    }
    host.close()
    #expect(
      host.notices.texts == [
        "warning: store 'orders': the column `quantity` is integer, but at key 'k1' the field is of kind string: such values are kept in the JSON column `value` (said once)",
        "warning: store 'orders': the column `quantity` is integer, but at key 'l' the field is of kind float: such values are kept in the JSON column `value` (said once)",
      ])
    #expect(try rows(table).last == #"- - {"quantity":1.5} 5"#)
  }

  @Test func keysOfAnyText() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let backend = try DatabaseStoreBackend(
      path: directory.file(table), store: "orders", table: table, history: nil)
    try coordinator.register(VersionedStore("orders", backend: backend))
    let queue = TriggerQueue(coordinator)
    let script = #"""
      return { on = { event = "n" }, execute = function(event, ctx)
        local orders = ctx:store("orders")
        return { orders:put("a\0b", 1), orders:put("e\u{301}", 2), orders:put("é", 3), orders:put("x'y", 4) }
      end }
      """#
    queue.bind([], scripts: ScriptTree(files: ["n.lua": Array(script.utf8)]))
    queue.start()
    for _ in 1...2 {
      let results = try await queue.perform(Event("n"))
      #expect(results.map(\.error) == [nil])
    }
    await queue.stop()
    var keys: [String] = []
    try client(table).run(
      "SELECT typeof(\"key\") || hex(\"key\") || value || version FROM orders ORDER BY value"
    ) {
      keys.append($0.text(0))
    }
    #expect(keys == ["text61006212", "text65CC8122", "textC3A932", "text78277942"])
  }

  // MARK: Migrations

  @Test func migrationsRunOnce() async throws {
    var table = table
    table.migrations = ["CREATE TABLE runs (n); INSERT INTO runs VALUES (1);"]
    _ = try await run(table, ["1": ["symbol": "a", "quantity": 5]])
    table.migrations.append("INSERT INTO runs VALUES (2)")
    table.migrations.append(
      "CREATE VIEW symbols AS SELECT symbol, count(*) AS n, sum(quantity) AS quantity FROM orders GROUP BY symbol"
    )
    table.columns.append(.init("quantity", .integer))
    for _ in 1...2 { _ = try await run(table, ["2": ["symbol": "a", "quantity": 2]]) }
    let client = try client(table)
    #expect(try client.integer("SELECT sum(n) FROM runs") == 3)
    #expect(try client.integer("SELECT quantity FROM symbols") == 7)
    #expect(try client.integer("SELECT schema FROM trigger_host") == 3)
    // White space around it changes nothing.
    table.migrations[1] += "\n"
    _ = try await run(table)
  }

  @Test func aChangedHistoryIsRefused() async throws {
    var table = table
    table.migrations = ["CREATE TABLE a (x)", "CREATE TABLE b (x)"]
    _ = try await run(table)
    let file = directory.file(table)
    func refusal(_ migrations: [String]) throws -> (String, Int?) {
      var changed = table
      changed.migrations = migrations
      let error = #expect(throws: TableError.self) { try TableHost(path, [changed]) }
      return (error?.description ?? "", error?.migration)
    }
    #expect(
      try refusal(["CREATE TABLE a (x)", "CREATE TABLE c (x)"]) == (
        "\(file): migration 2 has been run on it and was changed since: it was `CREATE TABLE b (x)`; put that back and add the change as a new migration",
        1
      ))
    #expect(
      try refusal(["CREATE TABLE a (x)"]).0
        == "\(file): migration 2 has been run on it and is not declared any more: it was `CREATE TABLE b (x)`"
    )
  }

  @Test(arguments: [
    ("CREATE TABEL x (y)", "near \"TABEL\": syntax error"),
    ("CREATE TABLE ok (y); INSERT INTO nowhere VALUES (1)", "no such table: nowhere"),
    ("COMMIT", "COMMIT is not allowed: it runs in a transaction of its own"),
    ("SAVEPOINT x", "BEGIN is not allowed: it runs in a transaction of its own"),
    ("ATTACH 'other' AS other", "other files cannot be attached here"),
    ("UPDATE trigger_host SET applied = 0", "the table trigger_host belongs to trigger-host"),
    ("PRAGMA writable_schema = 1", "PRAGMA writable_schema is not allowed here"),
    (
      "DELETE FROM orders",
      "the table orders is kept by trigger-host: change the store through its host instead"
    ),
  ])
  func aMigrationThatFails(sql: String, reason: String) async throws {
    let before = try await run(table, ["1": ["symbol": "a"]])
    var changed = table
    changed.migrations = ["CREATE TABLE one (x)", sql]
    changed.columns.append(.init("quantity", .integer))
    let error = #expect(throws: TableError.self) { try TableHost(path, [changed]) }
    #expect(error?.description == "\(directory.file(table)): migration 2: \(reason)")
    #expect(error?.migration == 1)
    let trial = #expect(throws: TableError.self) { try DatabaseStoreBackend.tryOut(changed) }
    #expect(trial?.migration == 1)
    #expect(trial?.message == "migration 2: \(reason)")
    // Nothing of it is there.
    #expect(try await run(table) == before)
    #expect(try client(table).integer("SELECT count(*) FROM sqlite_schema WHERE name IN ('one', 'ok')") == 0)
  }

  @Test func aLockedFileIsNotMigrated() async throws {
    let before = try await run(table, ["1": ["symbol": "a"]])
    let client = try client(table)
    try client.run("BEGIN IMMEDIATE")
    var changed = table
    changed.migrations = ["CREATE TABLE one (x)"]
    let file = directory.file(table)
    let history = try DataDirectory(path: path).history()
    let error = #expect(throws: TableError.self) {
      try TableFile(path: file, store: "orders", table: changed, history: history, lockWait: 50)
    }
    #expect(
      error?.message
        == "it must be changed before the host starts, and is locked by another program: end that first")
    try client.run("ROLLBACK")
    #expect(try await run(table) == before)
  }

  @Test func faultyDeclarationsAreRefused() {
    let faults: [(DatabaseTable, String)] = [
      (
        DatabaseTable("a b"),
        "the table name `a b` must be letters, digits and `_`, not beginning with a digit"
      ),
      (DatabaseTable("sqlite_x"), "the table name `sqlite_x` is reserved"),
      (DatabaseTable(""), "the table name `` is empty"),
      (
        DatabaseTable("t", columns: [.init("Key", .text)]),
        "the column name `Key` is a column of every table already"
      ),
      (
        DatabaseTable("t", columns: [.init("a", .text), .init("A", .text)]),
        "the column name `A` is used twice"
      ),
      (DatabaseTable("t", indexes: [["b"]]), "an index names `b`, which is no column"),
      (DatabaseTable("t", indexes: [[]]), "an index needs a column"),
    ]
    for (table, fault) in faults {
      let error = #expect(throws: TableError.self) { try DatabaseStoreBackend.tryOut(table) }
      #expect(error?.message == fault)
    }
  }
}
