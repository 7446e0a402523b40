import TriggerCore
import TriggerHost
import TriggerSQLite

/// What one seed is about: each leaves some things out and does others often, so that rare combinations come
/// up in a few steps.
struct Plan: CustomStringConvertible {
  enum Action: String, CaseIterable {
    /// Another event from outside; one again whose sender knows no outcome, or has forgotten it.
    case send, resend
    /// A worker hands in and takes a batch; begins an attempt; ends one.
    case take, begin, end
    /// The attempt that a worker has begun takes long: it is left alone for a while.
    case stall
    case kill
    case watch
    /// The log writes what waits.
    case write
    case advance, fire
    /// Somebody sets the wall clock, ahead or back.
    case step
    case read, hold, giveBack
    case cancel
    case reload
    case checkpoint
    /// The disk is about to fail in some way.
    case failDisk
    /// The process ends; the power fails.
    case crash
  }

  var workers: Int
  var durability: Durability
  var keys: Int
  var scans: Bool
  var wholeStores: Bool
  var emits: Bool
  /// Names of the events that are sent.
  var events: [String]
  var sources: UInt64
  var hasSchedules: Bool
  /// In the middle of attempts others move.
  var interrupts: Bool
  var weights: [(action: Action, weight: Int)]
  var configuration: EngineConfiguration
  /// After so many bytes SQLite's write-ahead log goes into the database.
  var flushBytes: Int
  var retention: LogRetention
  /// At most so many events from outside wait.
  var backlog: Int

  init(_ random: inout SplitMix64) {
    func oneOf<Choice>(_ choices: Choice...) -> Choice { choices.randomElement(using: &random)! }
    workers = oneOf(1, 2, 2, 3, 4)
    durability = oneOf(.group, .group, .group, .async, .memory)
    keys = oneOf(1, 3, 8, 40)
    (scans, wholeStores, emits) = (oneOf(true, true, false), oneOf(true, false), oneOf(true, true, false))
    let all = oneOf(true, true, false)
    events = Scripts.events.filter { _ in all || Bool.random(using: &random) }
    if events.isEmpty { events = ["normal"] }
    sources = oneOf(1, 3, 20)
    hasSchedules = oneOf(true, false)
    interrupts = oneOf(true, true, false)
    backlog = oneOf(4, 20, 100)
    flushBytes = oneOf(1, 20_000, 1 << 20)
    retention = oneOf(LogRetention(), LogRetention(), LogRetention(bytes: 2000))
    configuration = Self.configuration(workers: workers, &random)
    weights = Self.weights(durability, &random)
  }

  private static func configuration(
    workers: Int, _ random: inout SplitMix64
  ) -> EngineConfiguration {
    func oneOf<Choice>(_ choices: Choice...) -> Choice { choices.randomElement(using: &random)! }
    var configuration = EngineConfiguration(workers: workers)
    configuration.tellsInPlace = true
    configuration.strictOrder = oneOf(true, false, false, false)
    configuration.window = oneOf(4, 16, 64, 256)
    configuration.runAhead = min(oneOf(2, 16, 256), configuration.window)
    configuration.batch = oneOf(1, 4, 16)
    configuration.batchNanoseconds = oneOf(100_000, 100_000_000)
    configuration.staleChecks = oneOf(0, 2, 32)
    configuration.commitsPerReclaim = oneOf(1, 3, 50)
    configuration.conflictsBeforeReservation = oneOf(1, 2, 3)
    configuration.retainedVersions = oneOf(10, 100_000, 100_000)
    configuration.maximumHops = oneOf(3, 10)
    configuration.maximumEmits = oneOf(1, 1000, 1000)
    configuration.recordsKept = 256
    configuration.digestInterval = oneOf(1, 5, 40)
    configuration.queueCapacity = 10_000
    configuration.seed = random.next()
    return configuration
  }

  private static func weights(
    _ durability: Durability, _ random: inout SplitMix64
  ) -> [(action: Action, weight: Int)] {
    let usual: KeyValuePairs<Action, Int> = [
      .send: 100, .resend: 10, .take: 150, .begin: 150, .end: 200, .stall: 10, .kill: 3, .watch: 60,
      .write: 60,
      .advance: 80, .fire: 10, .step: 2, .read: 6, .hold: 4, .giveBack: 4, .cancel: 4, .reload: 2,
      .checkpoint: 2,
      .failDisk: 2,
      .crash: 2,
    ]
    return usual.compactMap { action, weight in
      if durability == .memory, [.write, .checkpoint, .failDisk, .crash].contains(action) { return nil }
      let factor = [1, 1, 1, 4, 16, 0].randomElement(using: &random)!
      switch action {
      case .send, .take, .begin, .end, .watch, .write, .advance:
        return (action, max(1, weight * max(1, factor) / (factor == 0 ? 8 : 1)))
      case .failDisk, .crash: return (action, weight * min(factor, 4))
      default: return (action, weight * factor)
      }
    }
  }

  /// Draws what comes next.
  func action(_ random: inout SplitMix64) -> Action {
    var left = Int.random(in: 0..<weights.reduce(0) { $0 + $1.weight }, using: &random)
    for (action, weight) in weights {
      left -= weight
      if left < 0 { return action }
    }
    preconditionFailure("weights without sum")
  }

  var description: String {
    let often = weights.map { "\($0.action) \($0.weight)" }.joined(separator: ", ")
    return """
      \(workers) workers, \(durability), \(keys) keys, events \(events.joined(separator: " "))\
      \(scans ? ", scans" : "")\(wholeStores ? ", whole stores" : "")\(emits ? ", emits" : "")\
      \(hasSchedules ? ", schedules" : "")\(interrupts ? ", interruptions" : "")
      \(often)
      """
  }
}
