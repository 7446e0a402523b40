import Glibc

/// Wakes a thread that waits for an event of the system, or for a time.
final class WakePipe: Sendable {
  private let reading: Int32
  private let writing: Int32

  init() {
    var ends: [Int32] = [-1, -1]
    precondition(pipe(&ends) == 0, "no file descriptors left")
    (reading, writing) = (ends[0], ends[1])
    for end in ends {
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
    }
  }

  deinit {
    close(reading)
    close(writing)
  }

  /// Any thread. A pipe that is full wakes as well.
  func signal() {
    var byte: UInt8 = 1
    _ = write(writing, &byte, 1)
  }

  /// Returns when `signal` was called since the last return, when `file` can be read, or at a time of
  /// `WatchLoop.now`.
  func wait(and file: Int32?, until due: Int64) {
    var files = [pollfd(fd: reading, events: Int16(POLLIN), revents: 0)]
    if let file { files.append(pollfd(fd: file, events: Int16(POLLIN), revents: 0)) }
    _ = poll(&files, nfds_t(files.count), Self.milliseconds(until: due))
    var bytes = [UInt8](repeating: 0, count: 64)
    while read(reading, &bytes, bytes.count) > 0 {}
  }

  /// Rounded up, so that nobody turns in circles before the time has come; -1 for ever.
  private static func milliseconds(until due: Int64) -> Int32 {
    if due == .max { return -1 }
    let left = max(0, due - WatchLoop.now())
    return Int32(clamping: (left + 999_999) / 1_000_000)
  }
}
