import Foundation
import TriggerHost

/// Records that pass a filter, printed as they come.
struct LogPrinter {
  let filter: LogFilter
  let follows: Bool
  let write: (LogRecord, LineWriter) throws -> Void

  /// How often a log that is followed is looked at, in milliseconds: one small question to SQLite.
  private static let pause: Int32 = 100

  func run() throws {
    if follows { Self.endOnSignals() }
    let history = try History(filter.kept.path())
    let out = LineWriter.standardOutput
    let compiled = try filter.compiled()
    var left = filter.limit ?? .max
    // What is there already is of interest when somebody says from where.
    var end = follows && filter.from == nil ? try history.reader.source.end() : nil
    var next = filter.from ?? end.map { $0.seq + 1 } ?? 1
    var changes: Int64?
    while true {
      let now = follows ? try history.reader.changeCount() : 0
      if now != changes {
        changes = now
        try history.visitNewViews(after: &end, from: next, to: filter.to ?? .max) { view in
          next = view.seq + 1
          guard let record = try compiled.pass(view) else { return true }
          try write(record, out)
          left -= 1
          return left > 0
        }
        try out.flush()
      }
      if !follows || left == 0 || next > filter.to ?? .max || Self.isClosed(waiting: Self.pause) { return }
      try history.requirePlace(readUpTo: next - 1)
    }
  }

  /// Ctrl-C ends this process, whatever mask and handlers it was started with.
  private static func endOnSignals() {
    var wanted = sigset_t()
    sigemptyset(&wanted)
    for number in [SIGINT, SIGTERM] {
      signal(number, SIG_DFL)
      sigaddset(&wanted, number)
    }
    pthread_sigmask(SIG_UNBLOCK, &wanted, nil)
  }

  /// Waits; true at once when nobody reads standard output any more.
  private static func isClosed(waiting milliseconds: Int32) -> Bool {
    var output = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
    return poll(&output, 1, milliseconds) > 0
  }
}
