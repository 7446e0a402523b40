/// The port to which a log is written: a database or a file.
///
/// `MemoryLogStore` is the readable definition of the contract. `LogStoreContract` of the test kit checks that another
/// store does the same.
package protocol LogStore: AnyObject, Sendable {
  /// Begins an epoch: from now on nothing is written under an older one. Durable when this returns. Before the epoch's
  /// first group, one thread at a time.
  ///
  /// - Parameters:
  ///   - time: nanoseconds since 1970.
  ///   - seed: of the run, to be kept with it.
  ///   - versions: `EnvironmentVersions.text` of the run.
  /// - Returns: its number, higher than that of every epoch before.
  func beginEpoch(time: Int64, seed: UInt64, versions: String) throws(LogFailure) -> Int64

  /// Writes a group: all of it or, when this throws, nothing, except with `unknown`. When this returns, the group is as
  /// durable as the store promises. One thread at a time.
  ///
  /// - Parameter epoch: what `beginEpoch` gave.
  /// - Throws: `fenced` when a newer epoch has begun; `refused` for records that do not follow the newest ones, and
  ///   for what the store says; `unknown` when nobody can say whether the group is there.
  func write(_ group: LogGroup, epoch: Int64) throws(LogFailure)

  /// Does work for which commits should not wait. Called on the writing thread after each group, when everybody has
  /// been told of the group.
  func tidy() throws(LogFailure)

  /// Called on the writing thread when nothing has come for a while: what was written may take less room from now on.
  ///
  /// - Parameter seq: the newest that is written.
  func compact(newest seq: Int64) throws(LogFailure)

  /// Looks whether the store is still there, and its writer's. Called on the writing thread about once a second while
  /// there is nothing to write.
  ///
  /// - Parameter epoch: what `beginEpoch` gave.
  /// - Throws: `fenced` when a newer epoch has begun; `refused` when nobody would find what is written.
  func look(epoch: Int64) throws(LogFailure)

  /// Opens a source to read with while groups are written. Any thread.
  func openSource() throws -> any LogSource
}

extension LogStore {
  package func tidy() throws(LogFailure) {}
  package func compact(newest seq: Int64) throws(LogFailure) {}
}
