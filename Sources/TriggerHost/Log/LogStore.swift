/// Where a log is written: the port of a database or a file.
///
/// `MemoryLogStore` is the readable definition of what it does, and `LogStoreContract` of the test kit checks that
/// another one does the same.
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

  /// Writes a group: all of it or, when this throws, nothing. It is as durable as the store promises when this
  /// returns. One thread at a time.
  ///
  /// - Parameter epoch: what `beginEpoch` gave.
  /// - Throws: `fenced` when a newer epoch has begun; `refused` for records that do not follow the newest ones, and
  ///   for what the store says; `unknown` when nobody can say whether the group is there.
  func write(_ group: LogGroup, epoch: Int64) throws(LogFailure)

  /// Called on the writing thread after everybody has been told of a group: time for what commits should not wait for.
  func tidy() throws(LogFailure)

  /// Called on the writing thread when nothing has come for a while: what was written may take less room from now on.
  ///
  /// - Parameter seq: the newest that is written.
  func settle(newest seq: Int64) throws(LogFailure)

  /// Called on the writing thread now and then while there is nothing to write.
  ///
  /// - Throws: when what is written would not be found.
  func look() throws(LogFailure)

  /// To read with, while groups are written. Any thread.
  func openSource() throws -> any LogSource
}

extension LogStore {
  package func tidy() throws(LogFailure) {}
  package func settle(newest seq: Int64) throws(LogFailure) {}
  package func look() throws(LogFailure) {}
}
