import Glibc
import Synchronization
import TriggerLua

/// Threads of the system's, with names and stacks of a wanted size.
package enum Thread {
  private final class Start {
    let name: String
    let body: @Sendable () -> Void
    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// CPU nanoseconds that a thread has taken; nil when it has none to tell of.
  package static func cpuTime(of thread: pthread_t) -> Int64? {
    var clock = clockid_t()
    return pthread_getcpuclockid(thread, &clock) == 0 ? time(clock) : nil
  }

  /// Nanoseconds of one of the system's clocks.
  package static func time(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Starts a thread that nobody waits for.
  package static func detach(name: String, _ body: @escaping @Sendable () -> Void) {
    pthread_detach(spawn(name: name, stackBytes: 1 << 20, body))
  }

  /// What scripts need: Lua's C recursion (200 levels of library functions with buffers on the stack) takes
  /// about 2 MiB, a chain of closed coroutines 4 more.
  package static let scriptStack = 16 << 20

  /// Runs `body` on a thread with a stack for scripts, and waits for it.
  package static func call<Result: Sendable>(name: String, _ body: @escaping @Sendable () -> Result) -> Result
  {
    let box = Box<Result>()
    let thread = spawn(name: name, stackBytes: scriptStack) {
      let result = body()
      box.result.withLock { $0 = result }
    }
    pthread_join(thread, nil)
    return box.result.withLock { $0! }
  }

  private final class Box<Result: Sendable>: Sendable {
    let result = Mutex<Result?>(nil)
  }

  /// Starts a joinable thread. Traps when the system has no thread to give.
  package static func spawn(name: String, stackBytes: Int, _ body: @escaping @Sendable () -> Void)
    -> pthread_t
  {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, stackBytes)
    defer { pthread_attr_destroy(&attributes) }
    var thread = pthread_t()
    let start = Unmanaged.passRetained(Start(name, body))
    let code = pthread_create(
      &thread, &attributes,
      { argument in
        let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
        nameThisThread(start.name)
        start.body()
        return nil
      }, start.toOpaque())
    precondition(code == 0, "cannot start thread \(name): error \(code)")
    return thread
  }
}
