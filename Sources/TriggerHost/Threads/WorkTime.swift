/// How long a script has been at work, for everything that bounds it: `timeout`, `grace`, and the wait for its end.
package enum WorkTime {
  /// Wall time counts as a tenth: the backstop for a script that uses no CPU and does not end.
  private static let wallShare: Int64 = 10

  /// CPU time is what counts: a script that merely waits for a core, on a busy machine, does nothing wrong.
  ///
  /// - Parameters: nanoseconds, since the same moment.
  package static func of(cpu: Int64, wall: Int64) -> Int64 { max(cpu, wall / wallShare) }
}
