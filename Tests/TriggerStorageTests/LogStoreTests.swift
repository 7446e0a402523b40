import Foundation
import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

@testable import TriggerStorage

/// Every place that a log can be written to keeps the same contract.
@Suite struct LogStoreTests {
  @Test func aLogInMemoryKeepsTheContract() throws {
    let store = MemoryLogStore()
    try LogStoreContract.check { store }
  }

  @Test(arguments: [Durability.async, .group])
  func aLogInSQLiteKeepsTheContract(durability: Durability) throws {
    let path = temporaryDirectory()
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try LogStoreContract.check {
      // By the name of the system's files, without the lock that keeps a second host out.
      try SQLiteLogStore(
        DataDirectory(database: path + "/log.sqlite", fileSystem: "unix", clock: EngineClock()),
        durability: durability)
    }
  }
}
