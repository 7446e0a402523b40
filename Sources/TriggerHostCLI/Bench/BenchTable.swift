import Foundation
import TriggerRuntime

/// The text output: a header, then a line or two per measurement, printed as they end.
enum BenchTable {
  static let header =
    row("", "ops/s", "cpu/op", "producer", "p50", "p99", "p99.9", "re-runs", "deferred", "lock", "peak")

  static func lines(_ result: BenchResult) -> [String] {
    guard let p50 = result.unloadedP50Microseconds, let p99 = result.unloadedP99Microseconds,
      let p999 = result.unloadedP999Microseconds
    else { return [line(result, name: result.measurement)] }
    return [
      row(
        "\(result.measurement), unloaded", "", time(result.cpuMicrosecondsPerOperation),
        time(result.producerCpuMicrosecondsPerOperation), time(p50), time(p99), time(p999)),
      line(result, name: "\(result.measurement), loaded"),
    ]
  }

  private static func line(_ result: BenchResult, name: String) -> String {
    let isLoaded = result.unloadedP50Microseconds != nil
    return row(
      name, number(result.operationsPerSecond),
      isLoaded ? "" : time(result.cpuMicrosecondsPerOperation),
      isLoaded ? "" : time(result.producerCpuMicrosecondsPerOperation),
      time(result.p50Microseconds), time(result.p99Microseconds), time(result.p999Microseconds),
      number(Double(result.reExecutions)), number(Double(result.deferred)),
      time(result.longestLockHoldMicroseconds), number(result.peakMemoryMegabytes) + " MB", notes(result))
  }

  private static func notes(_ result: BenchResult) -> String {
    var notes: [String] = []
    if let ratio = result.ratioToBump { notes.append(String(format: "%.2f of bump", ratio)) }
    if let bytes = result.residentBytesPerKey { notes.append("\(number(bytes)) B/key") }
    if let behind = result.tableBehindMilliseconds {
      notes.append("table \(time(behind * 1000)) behind")
    }
    if let late = result.producerLateP99Microseconds, late > 1000 {
      notes.append("sent up to \(time(late)) late")
    }
    if let low = result.lowCommitted { notes.append("\(number(Double(low))) low ones committed") }
    if let reloads = result.reloads, let longest = result.longestReloadMilliseconds,
      let others = result.unloadedReExecutions, let bytes = result.bytesPerWorkerPerTrigger
    {
      notes.append("\(reloads) reloads of up to \(time(longest * 1000))")
      notes.append("\(number(Double(others))) re-runs without them")
      notes.append("\(number(bytes)) B per worker and trigger")
    }
    return notes.joined(separator: ", ")
  }

  private static func row(_ cells: String...) -> String {
    let widths = [18, 9, 8, 9, 8, 8, 8, 8, 9, 8, 9]
    var text = ""
    for (index, cell) in cells.enumerated() {
      let width = index < widths.count ? widths[index] : 0
      let padding = String(repeating: " ", count: max(0, width - cell.count))
      text += index == 0 ? cell + padding : index < widths.count ? padding + cell : "  " + cell
    }
    while text.last == " " { text.removeLast() }
    return text
  }

  /// With a comma every three digits.
  static func number(_ value: Double) -> String { grouped(Int(value.rounded())) }

  /// Microseconds with three significant digits and a unit.
  static func time(_ microseconds: Double) -> String {
    let (value, unit) =
      switch microseconds {
      case ..<1000: (microseconds, "us")
      case ..<1_000_000: (microseconds / 1000, "ms")
      default: (microseconds / 1_000_000, "s")
      }
    return String(format: value < 10 ? "%.2f %@" : value < 100 ? "%.1f %@" : "%.0f %@", value, unit)
  }
}
