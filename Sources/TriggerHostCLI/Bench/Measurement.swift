import ArgumentParser

/// What `trigger-host bench` can measure, in the order it does.
enum Measurement: String, CaseIterable, ExpressibleByArgument, Sendable {
  case bump, indicator, add
  case halfLoad = "half-load"
  case priority, hot
  case manyKeys = "many-keys"
  case database, reload, recovery

  /// What is done and what to look at, for `--help`.
  var explanation: String {
    switch self {
    case .bump: "Read {count, total, last} at a random key, add, write it back; as fast as it goes."
    case .indicator: "Read 14 closes, append one, compute RSI, write the newest 14; as fast as it goes."
    case .add: "Add to one counter that everybody adds to, without reading it: re-runs should stay 0."
    case .halfLoad: "bump sent evenly at half of the rate it just had: the latency of a host with room."
    case .priority:
      """
      high-priority bumps, 400 a second, alone and then while low-priority scripts of 50 ms keep every \
      worker busy: the 99th percentile should stay below 5 ms.
      """
    case .hot: "bump with most events (--hot-share) on 1 % of the keys; ratio: its rate to bump's."
    case .database:
      """
      bump with the store in a table of an SQLite file as well, the log on disk (group, or --durability); \
      ratio: its rate to bump's with the same log. Also how long the table was behind after the last commit.
      """
    case .reload:
      """
      bumps of a thousand triggers, 100,000 a second, alone and then while one of their files is saved ten \
      times: the 99th percentile should not move by more than 20 ms, and nothing be re-run because of it.
      """
    case .recovery:
      """
      bumps into a log on disk, then: what a commit takes there, how long recovery takes from the log alone \
      and with a checkpoint, how fast the log is applied and how fast it is executed again and compared.
      """
    case .manyKeys: "bump over --many-keys keys; ratio: its rate to bump's. Also memory per stored key."
    }
  }
}
