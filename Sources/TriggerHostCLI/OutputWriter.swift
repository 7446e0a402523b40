import Foundation
import TriggerHost

/// Writes to one descriptor on a thread of its own, so that nobody who prints waits for who reads: a terminal may be
/// paused, a parent may not drain its pipe. What waits is bounded; lines beyond are left out and counted, and the reader
/// is told how many those were. A reader that goes away ends nothing. Any thread.
final class OutputWriter: @unchecked Sendable {  // guarded by `condition`
  /// Bytes that may wait.
  static let bound = 1 << 20
  /// Of which those who wait for room fill this much: lines find some, too.
  private static let patientBound = bound / 2
  private static let blockBytes = 1 << 16

  private let descriptor: Int32
  private let condition = NSCondition()
  /// For who waits for the end of it; by a clock that nobody sets.
  private let progress = WakeUp()
  private var bytes: [UInt8] = []
  /// Lines left out since the last that was not.
  private var dropped = 0
  private var droppedEver = 0
  /// Nobody will ever read.
  private var isClosed = false
  private var isWriting = false
  /// Bytes that were read, or taken by the system.
  private var written = 0
  /// The live line that is wanted, and the one that is shown: redrawn below every other line.
  private var live = ""
  private var shown = ""
  /// The line about lines left out. Set before anything is written.
  var noteLoss: @Sendable (Int) -> String = { "(\($0) lines left out here: nobody read them in time)" }

  init(_ descriptor: Int32) {
    self.descriptor = descriptor
    let thread = Thread { [self] in
      while let block = next() { write(block) }
    }
    thread.name = "output"
    thread.start()
  }

  /// Lines that were left out so far.
  var lost: Int { locked { droppedEver } }

  /// Writes a line when there is room for it.
  func line(_ text: String) {
    locked {
      if isClosed { return }
      guard bytes.isEmpty || bytes.count + text.utf8.count < Self.bound else {
        dropped += 1
        droppedEver += 1
        return
      }
      append(text)
    }
  }

  /// Writes a line that must not be left out: waits for room, as long as there is a reader.
  func patientLine(_ text: String) {
    locked {
      while !isClosed, !bytes.isEmpty, bytes.count + text.utf8.count >= Self.patientBound { condition.wait() }
      if !isClosed { append(text) }
    }
  }

  /// Shows a live line in place of the one before; empty takes it away.
  func status(_ text: String) {
    locked {
      live = text
      condition.broadcast()
    }
  }

  /// Waits until everything is written, or nothing has been for so long.
  ///
  /// - Parameter longest: however much is written meanwhile; nil: as long as it takes.
  /// - Returns: false when something is left.
  @discardableResult
  func flush(patience: Duration, longest: Duration?) -> Bool {
    var (before, late) = (-1, ContinuousClock.now)
    let latest = longest.map { late + $0 }
    while true {
      if isFlushed { return true }
      let written = locked { self.written }
      let now = ContinuousClock.now
      if written != before { (before, late) = (written, now + patience) }
      if now >= min(late, latest ?? late) { return false }
      progress.sleep(nanoseconds: Int64((late - now) / .nanoseconds(1)) + 1)
    }
  }

  /// Everything is written, or never will be.
  var isFlushed: Bool { locked { isClosed || !isWriting && bytes.isEmpty && live == shown } }

  private func locked<Result>(_ body: () -> Result) -> Result {
    condition.lock()
    defer { condition.unlock() }
    return body()
  }

  private func append(_ text: String) {
    bytes.append(contentsOf: text.utf8)
    bytes.append(UInt8(ascii: "\n"))
    condition.broadcast()
  }

  // MARK: The thread

  /// Waits for something to write.
  private func next() -> [UInt8]? {
    locked {
      isWriting = false
      progress.wake()
      while bytes.isEmpty, live == shown, !isClosed { condition.wait() }
      if isClosed { return nil }
      isWriting = true
      if dropped > 0 {
        append(noteLoss(dropped))
        dropped = 0
      }
      var block: [UInt8] = shown.isEmpty && live.isEmpty ? [] : Array("\r\u{1b}[K".utf8)
      block.append(contentsOf: bytes)
      block.append(contentsOf: live.utf8)
      bytes.removeAll(keepingCapacity: bytes.capacity <= Self.bound)
      shown = live
      condition.broadcast()
      return block
    }
  }

  private func write(_ block: [UInt8]) {
    var done = 0
    while done < block.count {
      let count = block.withUnsafeBytes {
        Foundation.write(descriptor, $0.baseAddress! + done, min(Self.blockBytes, $0.count - done))
      }
      if count >= 0 {
        done += count
        locked { written += count }
        progress.wake()
      } else if errno == EAGAIN {
        // Whoever started us has made it so for all who have it.
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&wanted, 1, -1)
      } else if errno != EINTR {
        locked {
          isClosed = true
          bytes = []
          condition.broadcast()
        }
        return progress.wake()
      }
    }
  }
}
