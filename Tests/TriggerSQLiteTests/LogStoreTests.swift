import Foundation
import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

import TriggerSQLite

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
        DataDirectory(database: path + "/log.sqlite", fileSystem: "unix", clock: SystemClock()),
        durability: durability)
    }
  }

  /// The contract finds a store that breaks it.
  @Test(arguments: FaultyStore.Fault.allCases) func aStoreThatBreaksTheContractIsFound(
    fault: FaultyStore.Fault
  ) {
    let store = MemoryLogStore()
    let violation = #expect(throws: LogStoreContract.Violation.self) {
      try LogStoreContract.check { FaultyStore(store, fault) }
    }
    #expect(violation?.description.contains(fault.rawValue) == true, "\(violation!)")
  }
}

/// A store with one fault.
final class FaultyStore: LogStore {
  /// By what the contract says of each.
  enum Fault: String, CaseIterable {
    case writesUnderAnyEpoch = "an older epoch writes nothing"
    case keepsHalfOfAGroup = "of a group that is refused no record is there"
    case writesTwice = "records from seq"
    case losesJobs = "a group is there wholly: a script tree"
    case givesEpochsTwice = "an epoch has a higher number"
    case neverLooks = "an older epoch that has nothing to write"
  }

  private let store: MemoryLogStore
  private let fault: Fault

  init(_ store: MemoryLogStore, _ fault: Fault) { (self.store, self.fault) = (store, fault) }

  func beginEpoch(time: Int64, seed: UInt64, versions: String) throws(LogFailure) -> Int64 {
    if fault == .givesEpochsTwice, let newest = newestEpoch { return newest }
    return store.beginEpoch(time: time, seed: seed, versions: versions)
  }

  private var newestEpoch: Int64? { try? store.openSource().epochs().last?.number }

  func write(_ group: LogGroup, epoch: Int64) throws(LogFailure) {
    var changed = group
    let isTree = group.jobs.contains { if case .tree = $0 { true } else { false } }
    if fault == .losesJobs, isTree, !group.records.isEmpty { changed.jobs.removeFirst() }
    do throws(LogFailure) {
      try store.write(changed, epoch: fault == .writesUnderAnyEpoch ? newestEpoch ?? epoch : epoch)
    } catch {
      if fault == .writesTwice, !group.records.isEmpty { return }
      changed.jobs = []
      if fault == .keepsHalfOfAGroup { try store.write(changed, epoch: epoch) }
      throw error
    }
  }

  func look(epoch: Int64) throws(LogFailure) {
    if fault != .neverLooks { try store.look(epoch: epoch) }
  }

  func openSource() throws -> any LogSource { store.openSource() }
}
