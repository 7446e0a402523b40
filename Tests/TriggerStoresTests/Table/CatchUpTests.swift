import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite
@testable import TriggerStores

private let orders = DatabaseTable("orders", columns: [.init("quantity", .integer)])

/// What a host finds when it starts: a table that is where the log is, behind it, ahead of it, or another's.
@Suite(.timeLimit(.minutes(5))) struct CatchUpTests {
  private let directory = TemporaryDirectory()
  private var path: String { directory.path }
  private var file: String { directory.file(orders) }

  private func order(_ quantity: Int) -> Value { ["quantity": .int(Int64(quantity))] }

  /// Starts a host, writes, and ends it.
  @discardableResult
  private func run(
    durability: Durability = .group, _ changes: [[String: Value?]] = []
  ) async throws -> TableHost {
    let host = try TableHost(path, [orders], durability: durability)
    for change in changes { try await host.write("orders", change) }
    host.close()
    #expect(try host.backends["orders"]!.read().values == host.content("orders"))
    #expect(try host.backends["orders"]!.read().seq == host.coordinator.stats.currentSeq)
    return host
  }

  /// A database with the log of its own that may still be beside it.
  private func copy(_ name: String, to other: String) throws {
    for suffix in ["", "-wal", "-shm"] {
      try? FileManager.default.removeItem(atPath: other + suffix)
      if suffix != "-shm", FileManager.default.fileExists(atPath: name + suffix) {
        try FileManager.default.copyItem(atPath: name + suffix, toPath: other + suffix)
      }
    }
  }

  @Test func whereTheLogIs() async throws {
    try await run([["a": order(1)], ["b": order(2)]])
    let client = try Database(path: file)
    let layout = try client.integer("PRAGMA schema_version")
    // A row that nobody looks at stays as it is: nothing is compared when the table is where it should be. (Nobody
    // but this test writes behind the triggers' back without a change of the schema.)
    try client.run("UPDATE trigger_host SET is_writing = 1")
    try client.run("UPDATE orders SET quantity = 7 WHERE \"key\" = 'a'")
    try client.run("UPDATE trigger_host SET is_writing = 0")
    for _ in 0..<2 {
      let host = try TableHost(path, [orders])
      try await host.write("orders", ["b": order(3)])
      host.close()
      #expect(host.notices.texts == [])
      #expect(try host.backends["orders"]!.read().values == ["a": order(7), "b": order(3)])
    }
    #expect(try client.integer("PRAGMA schema_version") == layout)
  }

  @Test func behindTheLog() async throws {
    try await run([["a": order(1), "b": order(2), "c": order(3), "d": order(4)]])
    try copy(file, to: path + "/old")
    try await run([["b": order(20)], ["c": nil], ["e": order(5)]])
    try copy(path + "/old", to: file)
    let host = try await run()
    #expect(host.notices.texts == ["info: store 'orders': \(file): brought 3 rows up to seq 4"])
    #expect(try await run().notices.texts == [])
  }

  /// A machine crash may take the newest commits of an `async` log and leave them in the table.
  private func loseTheEnd(after seq: Int64) throws {
    try Database(path: path + "/log.sqlite").run("DELETE FROM blocks WHERE last > ?", [.int(seq)])
    // It says of such a log what was on disk for sure.
    try NewestFile(directory: path).replace(NewestMark())
  }

  @Test func aheadOfTheLog() async throws {
    try await run(durability: .async, [["a": order(1), "b": order(2), "c": order(3)]])
    try await run(durability: .async, [["b": order(20)], ["c": nil], ["e": order(5)]])
    try loseTheEnd(after: 1)
    let host = try await run(durability: .async, [["f": order(6)]])
    #expect(host.notices.texts.count == 1)
    let text = host.notices.texts.first ?? ""
    #expect(
      text.hasPrefix(
        "warning: store 'orders': \(file) was ahead of the log, which ended at seq 1: took back 3 rows"),
      "\(text)")
    let expected: Value.Map = ["a": order(1), "b": order(2), "c": order(3), "f": order(6)]
    #expect(try host.backends["orders"]!.read().values == expected)
    #expect(try await run(durability: .async).notices.texts == [])
  }

  /// The log lost its end, and the run after that could not write the table: equal seqs say nothing then.
  @Test func atTheSameSeqOfAnotherPast() async throws {
    try await run([["a": order(1)], ["a": order(2)], ["a": order(3)]])
    try loseTheEnd(after: 1)
    let client = try Database(path: file)
    try client.run("BEGIN IMMEDIATE")
    let host = try TableHost(path, [orders])
    for n in 4...5 { try await host.write("orders", ["a": order(n)]) }
    host.close()
    try client.run("COMMIT")
    #expect(try await run().notices.texts == ["info: store 'orders': \(file): brought 1 row up to seq 3"])
  }

  @Test func withAnotherProgramInTheWayFromTheStart() async throws {
    try await run([["a": order(1)]])
    let client = try Database(path: file)
    try client.run("BEGIN IMMEDIATE")
    let host = try TableHost(path, [orders])
    try await host.write("orders", ["b": order(2)])
    await host.waitForObstacle("orders")
    #expect(host.coordinator.stats.backends["orders"]?.seq == 0)
    host.close()
    try client.run("ROLLBACK")
    // A run that could not write anything lies between: nothing is taken for granted.
    #expect(try await run().notices.count("brought 1 row up to seq 2") == 1)
  }

  @Test func anothersFileIsRefused() async throws {
    try await run([["a": order(1)]])
    func refusal(
      _ path: String? = nil, store: String = "orders", table: DatabaseTable = orders, log: Int64? = nil
    ) throws -> String {
      let history = try DataDirectory(path: self.path).history()
      let error = #expect(throws: TableError.self) {
        try DatabaseStoreBackend(
          path: path ?? file, store: store, table: table,
          history: log == 0 ? nil : LogHistory(log: log ?? history.log, epoch: history.epoch))
      }
      return error.map { String($0.description.dropFirst(($0.path + ": ").count)) } ?? ""
    }
    #expect(try refusal(log: 5).hasPrefix("it follows another log (another data directory)"))
    #expect(try refusal(log: 0).hasPrefix("it follows another log"))
    #expect(try refusal(store: "bills").hasPrefix("it holds the table `orders` of store 'orders'"))
    #expect(try refusal(table: DatabaseTable("others")).hasPrefix("it holds the table `orders`"))
    #expect(
      try refusal(path + "/log.sqlite").hasPrefix("it has a table `meta` that trigger-host did not make"))
    try Data("no database, but long enough to look like one at first sight".utf8).write(
      to: URL(fileURLWithPath: path + "/text"))
    #expect(try refusal(path + "/text").hasPrefix("file is not a database: it is a file of another kind"))
    #expect(try refusal("/dev/null/x.sqlite") != "")
    let client = try Database(path: file)
    try client.run("UPDATE trigger_host SET is_writing = 1, format = 99")
    #expect(try refusal().hasPrefix("it has format 99, this version reads up to 1"))
  }

  /// Without a log the table is what the host has now, from an empty store on.
  @Test func withoutALog() async throws {
    for n in 1...2 {
      let backend = try DatabaseStoreBackend(path: file, store: "orders", table: orders, history: nil)
      let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
      try coordinator.register(VersionedStore("orders", backend: backend))
      let queue = TriggerQueue(coordinator)
      queue.start()
      _ = try await queue.perform(TableHost.Write(store: "orders", changes: ["k\(n)": order(n)]))
      await queue.stop()
      #expect(try backend.read().values == ["k\(n)": order(n)])
    }
  }

  /// Random commits, random ends of the host, a client that gets in the way: the table is the store whenever
  /// the host has ended, and at each seq that a reader sees.
  @Test func randomly() async throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    var table = orders
    for round in 0..<12 {
      if Int.random(in: 0..<3, using: &random) == 0 {
        table.columns = [.init("quantity", .integer), .init("note", .text), .init("price", .real)]
          .filter { _ in Bool.random(using: &random) }
        table.indexes = table.columns.filter { _ in Bool.random(using: &random) }.map { [$0.name] }
      }
      let host = try TableHost(path, [table])
      let client = try Database(path: file)
      try client.wait(milliseconds: 60_000)
      var isLocked = false
      for _ in 0..<Int.random(in: 0..<40, using: &random) {
        var changes: [String: Value?] = [:]
        for _ in 0..<Int.random(in: 1..<5, using: &random) {
          let key = "k\(Int.random(in: 0..<12, using: &random))"
          changes.updateValue(Self.value(&random), forKey: key)
        }
        try await host.write("orders", changes)
        switch Int.random(in: 0..<12, using: &random) {
        case 0 where !isLocked:
          try client.run("BEGIN IMMEDIATE")
          isLocked = true
        case 1, 2:
          if isLocked { try client.run("COMMIT") }
          isLocked = false
        default: break
        }
        let (seq, values) = try host.backends["orders"]!.read()
        if seq == host.coordinator.stats.currentSeq {
          #expect(values == Self.stored(try host.content("orders"), table), "seed \(seed), seq \(seq)")
        }
      }
      if isLocked, Bool.random(using: &random) { try client.run("COMMIT") }
      host.close()
      let (seq, values) = try host.backends["orders"]!.read()
      let content = try host.content("orders")
      if !isLocked { #expect(seq == host.coordinator.stats.currentSeq, "seed \(seed), round \(round)") }
      if seq == host.coordinator.stats.currentSeq {
        #expect(values == Self.stored(content, table), "seed \(seed), round \(round)")
      }
      #expect(host.notices.count("another program has") == 0, "seed \(seed): \(host.notices.texts)")
    }
  }

  private static func value(_ random: inout SplitMix64) -> Value? {
    let number = Int64.random(in: -3..<100, using: &random)
    switch Int.random(in: 0..<10, using: &random) {
    case 0, 1: return nil
    case 2: return .int(number)
    case 3: return ["quantity": .double(Double(number) / 2), "price": .double(Double(number) / 3)]
    case 4: return ["quantity": "none", "note": .int(number), "other": .bytes([1, 255])]
    case 5: return ["price": .double(.nan), "note": .null, "list": [.double(.infinity), ["$float": "x"]]]
    default:
      return ["quantity": .int(number), "note": .string("n\(number)"), "price": .double(Double(number))]
    }
  }

  /// What the table can say of a value: numbers in columns have the column's type.
  static func stored(_ content: Value.Map, _ table: DatabaseTable) -> Value.Map {
    content.mapValues { value in
      guard case .map(var fields) = value else { return value }
      for column in table.columns {
        switch (column.type, fields[column.name]) {
        case (.integer, .double(let number)?):
          if let whole = Int64(exactly: number) { fields[column.name] = .int(whole) }
        case (.real, .int(let number)?): fields[column.name] = .double(Double(number))
        default: break
        }
      }
      return .map(fields)
    }
  }
}
