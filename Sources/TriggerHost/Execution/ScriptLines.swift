import Synchronization
import TriggerCore

/// What an attempt has logged, within bounds: a script that logs in a loop fills no memory. Once one line does not fit,
/// no later one is kept, so that what is there is the beginning.
///
/// Belongs to whom the attempt belongs to; counts as memory for log lines until nobody has it any more.
package final class ScriptLines: @unchecked Sendable {
  // Changed by the attempt's worker only, before others see it.
  /// Most of one attempt.
  private static let (most, mostBytes) = (1000, 64 << 10)

  @exclusivity(unchecked) package private(set) var lines: [ExecutionLog] = []
  @exclusivity(unchecked) package private(set) var dropped = 0
  /// Memory for all that was logged until the first was dropped by the attempt's own bounds: the same in every run.
  @exclusivity(unchecked) package private(set) var bytes = 0
  private var offered = (lines: 0, bytes: 0)
  private var kept = 0
  private let memory: LineMemory

  package init(_ memory: LineMemory) { self.memory = memory }

  deinit { memory.giveBack(kept) }

  /// - Parameters:
  ///   - size: bytes of the line.
  ///   - more: what it takes in memory.
  ///   - line: made when it is kept.
  package func add(_ size: Int, memory more: Int, _ line: () -> ExecutionLog) {
    guard offered.lines < Self.most, offered.bytes < Self.mostBytes else {
      dropped += 1
      return
    }
    offered.lines += 1
    offered.bytes += size
    bytes += more
    guard dropped == 0, memory.reserve(more) else {
      dropped += 1
      return
    }
    kept += more
    lines.append(line())
  }
}

/// Memory for the log lines of all attempts that are running, wait for their turn, or for who is told of them. Any
/// thread.
package final class LineMemory: Sendable {
  private let most: Int
  private let taken = Atomic<Int>(0)

  package init(most: Int = 32 << 20) { self.most = most }

  /// Bytes that are taken.
  package var used: Int { taken.load(ordering: .relaxed) }

  fileprivate func reserve(_ bytes: Int) -> Bool {
    if taken.wrappingAdd(bytes, ordering: .relaxed).newValue <= most { return true }
    taken.wrappingSubtract(bytes, ordering: .relaxed)
    return false
  }

  fileprivate func giveBack(_ bytes: Int) { taken.wrappingSubtract(bytes, ordering: .relaxed) }
}
