/// What happens to a fire, or an event, when `max_instances` runs of the same job or trigger are going on.
public enum OverlapMode: String, Sendable, CaseIterable {
  /// It is dropped, and counted.
  case single
  /// The oldest run is cancelled (its seq ends `skipped`) and this one starts.
  case restart
  /// It waits its turn; at most 1000 wait, what comes beyond is dropped.
  case queued
  /// As `single`, but with 10 instances unless `max_instances` says otherwise.
  case parallel

  /// `max_instances` where nothing is said.
  public var defaultInstances: Int { self == .parallel ? 10 : 1 }
}
