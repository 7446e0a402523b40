import TriggerCore
import TriggerHost
import TriggerSQLite

/// The log of one life of a host, with somebody who sees each record when the engine hands it over. One thread.
final class WatchedLog: CommitLog, @unchecked Sendable {  // a simulation has one thread
  let wantsReads = false
  private(set) var log: DurableLog?
  /// Called when somebody waits for the log; others may move.
  var whileWaiting: (() -> Void)?
  private let observer: (LogRecord) -> Void
  private let acknowledgesEarly: Bool
  private var appended: Int64

  /// - Parameter log: nil keeps nothing.
  init(_ log: DurableLog?, acknowledgesEarly: Bool, _ observer: @escaping (LogRecord) -> Void) {
    self.log = log
    self.observer = observer
    self.acknowledgesEarly = acknowledgesEarly
    appended = log?.durable ?? 0
    log?.whenWaiting { [weak self] in
      self?.whileWaiting?()
      self?.write()
    }
  }

  func append(
    seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents: [Range<Int>]
  ) -> Int {
    do { observer(try LogRecord(decoding: record)) } catch {
      preconditionFailure("a record of the engine cannot be read: \(error)")
    }
    appended = seq
    return log?.append(seq: seq, record, settling: events, contents: contents) ?? .max
  }

  var room: Int { log?.room ?? .max }

  var durable: Int64 { acknowledgesEarly ? appended : log?.durable ?? .max }
  func whenDurable(_ body: @escaping @Sendable (Int64) -> Void) { log?.whenDurable(body) }
  func whenFailed(_ body: @escaping @Sendable (LogFailure) -> Void) { log?.whenFailed(body) }

  func accept(_ event: AcceptedEvent, whenKept: @escaping @Sendable () -> Void) {
    guard let log else { return whenKept() }
    let nobody: @Sendable () -> Void = {}
    log.accept(event, whenKept: acknowledgesEarly ? nobody : whenKept)
    if acknowledgesEarly { whenKept() }
  }

  /// Writes what waits.
  func write() { _ = log?.writeGroup() }
  var failure: LogFailure? { log?.failure }

  /// The process is gone: so are its files.
  func drop() { log = nil }
}
