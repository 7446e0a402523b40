import Foundation

/// What the kernel says of this process.
enum ProcessUsage {
  /// CPU time of all threads, in seconds.
  static var cpuSeconds: Double { seconds(CLOCK_PROCESS_CPUTIME_ID) }

  /// CPU time of the calling thread, in seconds.
  static var threadCPUSeconds: Double { seconds(CLOCK_THREAD_CPUTIME_ID) }

  /// Memory that is in RAM now, in bytes; 0 when the system does not tell.
  static var residentBytes: Int { status("VmRSS") * 1024 }

  /// The most that was in RAM since `resetPeak`, in bytes.
  static var peakBytes: Int { status("VmHWM") * 1024 }

  /// Lets the peak start again at what is resident now. Where the system refuses, the peak is that of the
  /// whole process.
  static func resetPeak() {
    guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return }
    try? file.write(contentsOf: Data("5".utf8))
    try? file.close()
  }

  /// Gives memory that was freed back to the system, so that resident memory is what is in use.
  static func returnFreeMemory() {
    // Found at run time: Swift's Glibc module leaves out <malloc.h>, and other systems have no such call.
    typealias Trim = @convention(c) (Int) -> Int32
    guard let symbol = dlsym(nil, "malloc_trim") else { return }
    _ = unsafeBitCast(symbol, to: Trim.self)(0)
  }

  private static func seconds(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// A line of /proc/self/status, in KiB.
  private static func status(_ name: String) -> Int {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name + ":") })
    else { return 0 }
    return Int(line.filter(\.isNumber)) ?? 0
  }
}
