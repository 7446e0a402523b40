import Foundation
import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

import TriggerSQLite
import TriggerStores

private let orders = DatabaseTable(
  "orders",
  columns: [
    .init("symbol", .text), .init("quantity", .integer), .init("price", .real), .init("open", .boolean),
  ],
  indexes: [["symbol"]])

@Suite(.timeLimit(.minutes(5))) struct DatabaseStoreTests {
  @Test func keepsTheContract() async throws {
    let directory = TemporaryDirectory()
    let backend = try DatabaseStoreBackend(
      path: directory.file(orders), store: "orders", table: orders, history: nil)
    let contents: [Value.Map] = [
      ["a": ["symbol": "EURUSD", "quantity": 5, "price": 1.5, "open": true, "more": [1, .null, 2.5]]],
      ["a": ["symbol": "EURUSD"], "b": "no map", "c": ["quantity": "no number"], "d": [:], "e": .null],
      [:],
    ]
    try await StoreBackendContract.check(backend, contents: contents) { try $0.read().values }
  }

  /// Rows are as private as the log. What an administrator chooses for the file stays.
  @Test func aNewTableIsPrivate() throws {
    let directory = TemporaryDirectory()
    let (folder, file) = (directory.path + "/made", directory.path + "/made/orders.sqlite")
    func mode(_ path: String) throws -> Int? {
      try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }
    func open() throws -> DatabaseStoreBackend {
      try DatabaseStoreBackend(path: file, store: "orders", table: orders, history: nil)
    }
    _ = try open()
    #expect(try mode(folder) == 0o700 && mode(file) == 0o600)
    try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: file)
    _ = try open()
    #expect(try mode(file) == 0o640)
  }

  /// Any SQLite client reads it with plain SQL, while the host runs.
  @Test func isReadWithPlainSQL() async throws {
    let directory = TemporaryDirectory()
    let table = DatabaseTable("positions", columns: [.init("symbol", .text), .init("fee", .real)])
    let host = try TableHost(directory.path, [orders, table])
    try await host.write(
      "orders",
      [
        "1": ["symbol": "EURUSD", "quantity": 5, "price": 1.5], "2": ["symbol": "EURUSD", "quantity": 7],
        "3": ["symbol": "USDJPY", "quantity": 1, "open": false, "note": "x"],
      ])
    let seq = try await host.write("positions", ["p": ["symbol": "EURUSD", "fee": 2]])
    await host.wait("orders", for: seq)
    await host.wait("positions", for: seq)
    let client = try Database(path: directory.file(orders))
    try client.run("ATTACH ? AS other", [.text(directory.file(table))])
    var rows: [[Database.Cell]] = []
    try client.run(
      """
      SELECT o.symbol, sum(o.quantity), max(o.price), count(*), p.fee FROM orders o
      JOIN other.positions p USING (symbol) GROUP BY o.symbol
      """
    ) { row in rows.append((0..<5).map { row.cell($0) }) }
    #expect(rows == [[.text(Array("EURUSD".utf8)), .int(12), .double(1.5), .int(2), .double(2)]])
    let open = try client.first("SELECT open || value || version FROM orders WHERE \"key\" = '3'")
    #expect(open == .text(Array(#"0{"note":"x"}1"#.utf8)))
    #expect(host.notices.texts == [])
  }
}
