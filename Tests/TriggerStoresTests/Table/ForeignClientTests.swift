import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost

import TriggerSQLite

private let orders = DatabaseTable(
  "orders", columns: [.init("symbol", .text), .init("quantity", .integer)], indexes: [["symbol"]])
private let notes = DatabaseTable("notes")

/// What another program may do to the file, and what comes of it.
@Suite(.timeLimit(.minutes(5))) struct ForeignClientTests {
  private let directory = TemporaryDirectory()
  private var path: String { directory.path }

  private func client(_ table: DatabaseTable = orders) throws -> Database {
    try Database(path: directory.file(table), creates: false)
  }

  private func order(_ quantity: Int) -> Value { ["symbol": "EURUSD", "quantity": .int(Int64(quantity))] }

  private func expectTheTableIsTheStore(_ host: TableHost) async throws {
    let seq = host.coordinator.stats.currentSeq
    await host.wait("orders", for: seq)
    #expect(try host.backends["orders"]!.read().values == host.content("orders"))
  }

  @Test(arguments: [
    "INSERT INTO orders (\"key\", version) VALUES ('x', 1)", "UPDATE orders SET quantity = 99",
    "REPLACE INTO orders (\"key\", version) VALUES ('a', 1)", "DELETE FROM orders",
    "INSERT INTO orders (\"key\", version) VALUES ('a', 1) ON CONFLICT DO UPDATE SET quantity = 1",
  ])
  func itsWritesAreRefused(sql: String) async throws {
    let host = try TableHost(path, [orders])
    let seq = try await host.write("orders", ["a": order(1), "b": order(2)])
    await host.wait("orders", for: seq)
    let client = try client()
    let error = #expect(throws: StorageError.self) { try client.run(sql) }
    #expect(
      error?.description.contains(
        "the table orders is kept by trigger-host: change the store through its host instead") == true,
      "\(error!)")
    try await expectTheTableIsTheStore(host)
    host.close()
    #expect(throws: StorageError.self, "also when the host is down") { try client.run(sql) }
    #expect(host.notices.texts == [])
  }

  @Test func ourOwnTablesAreGuarded() async throws {
    let host = try TableHost(path, [orders])
    await host.wait("orders", for: 0)
    let client = try client()
    for sql in [
      "UPDATE trigger_host SET applied = 0", "DELETE FROM trigger_host",
      "INSERT INTO trigger_host_migrations VALUES (1, '', '')",
    ] {
      let error = #expect(throws: StorageError.self) { try client.run(sql) }
      #expect(error?.description.contains("belong to trigger-host") == true, "\(error!)")
    }
  }

  /// What gets past the triggers is found by the next look, told with its keys, and put right.
  @Test func whatGetsPastTheGuardIsPutRight() async throws {
    let host = try TableHost(path, [orders])
    let seq = try await host.write(
      "orders", ["a": order(1), "b": order(2), "c": order(3), "d": order(4)])
    await host.wait("orders", for: seq)
    let client = try client()
    // At once: the host may look at any time.
    try client.run("BEGIN IMMEDIATE")
    try client.run("UPDATE trigger_host SET is_writing = 1")
    try client.run("UPDATE orders SET quantity = 99 WHERE \"key\" IN ('a', 'b')")
    try client.run("DELETE FROM orders WHERE \"key\" = 'c'")
    try client.run("INSERT INTO orders (\"key\", version) VALUES ('x', 1), ('y', 77)")
    try client.run("UPDATE trigger_host SET is_writing = 0")
    try client.run("COMMIT")
    await host.notices.wait(for: "another program has changed")
    let text = host.notices.texts.first { $0.contains("another program has changed") }!
    #expect(
      text.hasPrefix(
        "error: store 'orders': another program has changed 5 rows of \(directory.file(orders)) (a, b, "))
    for key in ["a", "b", "c", "x", "y"] { #expect(text.contains(key)) }
    try await expectTheTableIsTheStore(host)
    host.close()
    #expect(try host.backends["orders"]!.read().values == host.content("orders"))
  }

  /// Triggers dropped while no host runs: found when the next one starts.
  @Test func whatIsChangedWhileNoHostRuns() async throws {
    var host = try TableHost(path, [orders])
    try await host.write("orders", ["a": order(1), "b": order(2), "c": order(3)])
    host.close()
    let client = try client()
    try client.run("DROP TRIGGER orders_guard_update")
    try client.run("DROP TRIGGER orders_guard_delete")
    try client.run("UPDATE orders SET quantity = 5 WHERE \"key\" = 'b'")
    try client.run("DELETE FROM orders WHERE \"key\" = 'a'")
    host = try TableHost(path, [orders])
    try await expectTheTableIsTheStore(host)
    host.close()
    #expect(
      host.notices.count(
        "removed or changed the trigger orders_guard_update, the trigger orders_guard_delete") == 1)
    #expect(host.notices.count("has changed 2 rows") == 1, "\(host.notices.texts)")
    #expect(throws: StorageError.self) { try client.run("DELETE FROM orders") }
  }

  @Test(arguments: [
    ("ALTER TABLE orders DROP COLUMN quantity", "the column quantity"),
    ("ALTER TABLE orders DROP COLUMN version", "the column version"),
    ("ALTER TABLE orders RENAME COLUMN \"key\" TO id", "the column key"),
    ("DROP TABLE orders", "the table orders"),
    (
      "DROP TABLE trigger_host_migrations; DROP TRIGGER trigger_host_guard_delete; DROP TABLE trigger_host",
      ""
    ),
  ])
  func itsSchemaChangesAreMended(sql: String, what: String) async throws {
    let host = try TableHost(path, [orders])
    let seq = try await host.write("orders", ["a": order(1), "b": order(2)])
    await host.wait("orders", for: seq)
    let client = try client()
    try client.run("BEGIN IMMEDIATE")
    for sql in sql.split(separator: ";") { try client.run(String(sql)) }
    try client.run("COMMIT")
    try await host.write("orders", ["c": order(3)])
    try await expectTheTableIsTheStore(host)
    #expect(
      host.notices.count("error: store 'orders': another program has removed or changed \(what)") == 1,
      "\(host.notices.texts)")
    #expect(host.notices.count("another program has changed") == 0, "\(host.notices.texts)")
    #expect(try client.integer("SELECT sum(quantity) FROM orders") == 6)
    #expect(throws: StorageError.self) { try client.run("DELETE FROM orders") }
  }

  /// Other tables, views and readers in the file are no business of ours.
  @Test func itsOwnTablesAreLeftAlone() async throws {
    var host = try TableHost(path, [orders])
    let client = try client()
    try client.run("CREATE TABLE mine (x)")
    try client.run("CREATE VIEW big AS SELECT * FROM orders WHERE quantity > 1")
    for n in 1...20 {
      try await host.write("orders", ["k\(n)": order(n)])
      try client.run("INSERT INTO mine VALUES (?)", [.int(Int64(n))])
    }
    try await expectTheTableIsTheStore(host)
    host.close()
    #expect(host.notices.texts == [])
    #expect(try client.integer("SELECT count(*) FROM big") == 19)
    host = try TableHost(path, [orders])
    try await host.write("orders", ["k1": order(5)])
    try await expectTheTableIsTheStore(host)
    #expect(host.notices.texts == [])
    #expect(try client.integer("SELECT sum(x) FROM mine") == 210)
  }

  /// A lock delays that table; neither commits, nor other tables, nor the end of the host.
  @Test func itsLockDelaysOnlyThatTable() async throws {
    var host = try TableHost(path, [orders, notes])
    await host.wait("orders", for: try await host.write("orders", ["a": order(1)]))
    let client = try client()
    try client.run("BEGIN IMMEDIATE")
    var last: Int64 = 0
    for n in 1...200 {
      last = try await host.write(n % 2 == 0 ? "orders" : "notes", ["a": order(n)])
    }
    await host.wait("notes", for: last - 1)
    #expect(try host.backends["notes"]!.read().values == ["a": order(199)])
    #expect(try host.content("orders") == ["a": order(200)])
    #expect(try host.backends["orders"]!.read().values == ["a": order(1)], "a reader is not held up")
    // The warning comes after a second of patience.
    await host.notices.wait(
      for:
        "warning: store 'orders': \(directory.file(orders)) cannot be written: locked by another program for")
    let stats = host.coordinator.stats.backends["orders"]!
    #expect(stats.obstacle == "locked by another program")
    #expect(stats.stuckSince! <= SystemClock().now() - 1_000_000_000)
    #expect(stats.seq == 1)
    try client.run("COMMIT")
    await host.wait("orders", for: last)
    #expect(try host.backends["orders"]!.read().values == ["a": order(200)])
    #expect(host.notices.count("is written again, after") == 1)
    try await poll(for: "the table") { host.coordinator.stats.backends["orders"]!.stuckSince == nil }

    try client.run("BEGIN IMMEDIATE")
    try await host.write("orders", ["b": order(2)])
    host.close()
    try client.run("ROLLBACK")
    #expect(try host.backends["orders"]!.read().values.count == 1)
    host = try TableHost(path, [orders, notes])
    try await expectTheTableIsTheStore(host)
    #expect(try host.backends["orders"]!.read().values.count == 2)
  }

  @Test func aFileThatGoesAwayIsMadeAgain() async throws {
    let host = try TableHost(path, [orders])
    await host.wait("orders", for: try await host.write("orders", ["a": order(1)]))
    // The one that the host looks for comes last: what it makes then is complete.
    for suffix in ["-shm", "-wal", ""] {
      try FileManager.default.removeItem(atPath: directory.file(orders) + suffix)
    }
    await host.notices.wait(for: "moved or replaced by another program")
    try await host.write("orders", ["b": order(2)])
    try await expectTheTableIsTheStore(host)
    #expect(try host.backends["orders"]!.read().values.count == 2)
  }

  /// Readers see one consistent state after another while the host writes.
  @Test func readersSeeWholeCommits() async throws {
    let host = try TableHost(path, [orders])
    await host.wait("orders", for: try await host.write("orders", ["a": order(0), "b": order(0)]))
    let client = try client()
    var states: Set<Int64> = []
    // In parts, so that the reader sees more than the first and the last however busy the machine is.
    for part in 0..<3 {
      let numbers = part * 100 + 1...part * 100 + 100
      let writing = Task { [queue = host.queue] in
        for n in numbers {
          let changes = ["a": order(n), "b": order(-n)]
          _ = try await queue.perform(TableHost.Write(store: "orders", changes: changes))
        }
      }
      while states.max() != Int64(numbers.last!) {
        var row: [Int64] = []
        try client.run(
          "SELECT sum(quantity), max(quantity), min(version) = max(version), applied - max(version) FROM orders, trigger_host"
        ) { cells in row = (0..<4).map { cells.int($0) } }
        #expect(row[0] == 0 && row[2] == 1, "half of a commit: \(row)")
        #expect(row[3] >= 0)
        states.insert(row[1])
        await Task.yield()
      }
      try await writing.value
    }
    #expect(states.count > 2)
  }
}
