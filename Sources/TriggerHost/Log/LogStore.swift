/// Where a log is written: the port of a database or a file.
///
/// `MemoryLogStore` is the readable definition of what it does, and `LogStoreContract` of the test kit checks that
/// another one does the same.
package protocol LogStore: AnyObject, Sendable {
  /// Begins a term: from now on nothing is written under an older one. Durable when this returns. Before the term's
  /// first group, one thread at a time.
  ///
  /// - Parameters:
  ///   - time: nanoseconds since 1970.
  ///   - seed: of the run, to be kept with it.
  ///   - versions: `EnvironmentVersions.text` of the run.
  /// - Returns: its number, higher than that of every term before.
  func beginTerm(time: Int64, seed: UInt64, versions: String) throws(LogFailure) -> Int64

  /// Writes a group: all of it or, when this throws, nothing. It is as durable as the store promises when this
  /// returns. One thread at a time.
  ///
  /// - Parameter term: what `beginTerm` gave.
  /// - Throws: `fenced` when a newer term has begun; `refused` for records that do not follow the newest ones, and
  ///   for what the store says; `unknown` when nobody can say whether the group is there.
  func write(_ group: LogGroup, term: Int64) throws(LogFailure)

  /// Called on the writing thread after everybody has been told of a group: time for what commits should not wait for.
  func tidy() throws(LogFailure)

  /// Called on the writing thread now and then while there is nothing to write.
  ///
  /// - Throws: when what is written would not be found.
  func look() throws(LogFailure)

  /// To read with, while groups are written. Any thread.
  func openSource() throws -> any LogSource
}

extension LogStore {
  package func tidy() throws(LogFailure) {}
  package func look() throws(LogFailure) {}
}
