/// What a measurement needs in memory, beyond what the process held before: earlier engines leave some.
struct MemoryMeter {
  private let before: Int

  /// Starts measuring.
  init() {
    ProcessUsage.returnFreeMemory()
    ProcessUsage.resetPeak()
    before = ProcessUsage.residentBytes
  }

  /// What is in use now, in bytes.
  var grown: Int {
    ProcessUsage.returnFreeMemory()
    return ProcessUsage.residentBytes - before
  }

  /// The most that was in RAM since the start, in MiB.
  var peakMegabytes: Double { Double(ProcessUsage.peakBytes - before) / 1_048_576 }
}
