import HostConfig
import Logging
import TriggerHost

/// Judges scripts that are saved while a host runs. What it says the host tells, and it stops nothing.
///
/// A host needs none, and this library has none: to judge takes lint and the means to execute history again. The library
/// `TriggerReview` has one:
///
/// ```swift
/// import TriggerReview
///
/// options.judge = .workshop
/// ```
public struct ScriptJudge: Sendable {
  let judging: any ScriptJudging

  package init(_ judging: some ScriptJudging) { self.judging = judging }
}

/// What a judge does.
package protocol ScriptJudging: Sendable {
  /// Places in the files of an update that may be mistakes. The update is in force by then.
  func doubts(about update: ScriptTree.Update, in config: HostConfig) -> [Finding]

  /// Executes the newest operations with scripts that are about to come into force (`scripts.verify_last`). On a thread of
  /// its own; the scripts wait for it.
  ///
  /// - Parameters:
  ///   - data: the data directory; all operations that are decided are in it.
  ///   - count: how many operations.
  /// - Returns: what would differ, a line each.
  /// - Throws: what the disk says; the scripts do not come into force then.
  func rehearse(
    _ tree: ScriptTree, last count: Int64, in data: String, _ config: HostConfig
  ) throws -> [(level: Logger.Level, text: String)]
}
