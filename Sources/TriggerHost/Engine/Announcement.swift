/// How an operation ended, for those who are told once it is durable.
struct Announcement {
  var operation: Operation
  /// Its trigger may be gone when this is told.
  var trigger: String
  /// Seq it was decided under.
  var seq: Int64
  var outcome: Outcome
  /// Why it failed, or was dropped.
  var failure: Failure?
  /// Nanoseconds since 1970; 0: not tried again.
  var retryAt: Int64 = 0
  var logs: ScriptLines?
}
