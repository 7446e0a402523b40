import Foundation

/// Where the handler writes. Set before there is a handler, and never again.
private nonisolated(unsafe) var signalPipe: Int32 = -1

/// Hands signals to a thread, whatever mask the process started with. Once per process.
enum SignalPipe {
  /// - Parameter body: called with the number of each signal, on a thread of its own.
  static func watch(_ numbers: [Int32], _ body: @escaping @Sendable (Int32) -> Void) {
    var ends: [Int32] = [-1, -1]
    precondition(signalPipe == -1 && pipe(&ends) == 0, "one pipe, once")
    let input = ends[0]
    signalPipe = ends[1]
    let thread = Thread {
      var wanted = sigset_t()
      sigemptyset(&wanted)
      for number in numbers { sigaddset(&wanted, number) }
      pthread_sigmask(SIG_UNBLOCK, &wanted, nil)
      var byte: UInt8 = 0
      while true {
        let count = read(input, &byte, 1)
        if count == 1 { body(Int32(byte)) } else if count == 0 || errno != EINTR { return }
      }
    }
    thread.name = "signals"
    thread.start()
    for number in numbers {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in
        // Only what POSIX calls async-signal-safe.
        let saved = errno
        var byte = UInt8(truncatingIfNeeded: number)
        _ = write(signalPipe, &byte, 1)
        errno = saved
      }
      action.sa_flags = SA_RESTART
      sigaction(number, &action, nil)
    }
  }
}
