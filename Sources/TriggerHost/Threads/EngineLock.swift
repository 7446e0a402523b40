import Glibc

/// A mutex that spins briefly before it sleeps (glibc's adaptive kind): the engine lock is held for a few
/// microseconds by one of a handful of threads, and a sleep costs more than that.
package final class EngineLock: @unchecked Sendable {  // a mutex is made to be shared
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let meter: clockid_t?
  private var since: Int64 = 0  // this lock
  private var longestHold: Int64 = 0  // this lock

  /// - Parameter meter: it remembers how long it was held at most, by this clock.
  package init(meter: clockid_t? = nil) {
    self.meter = meter
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    var attributes = pthread_mutexattr_t()
    pthread_mutexattr_init(&attributes)
    pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_ADAPTIVE_NP))
    let code = pthread_mutex_init(mutex, &attributes)
    precondition(code == 0, "pthread_mutex_init failed with \(code)")
    pthread_mutexattr_destroy(&attributes)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  @inline(__always) package func lock() {
    pthread_mutex_lock(mutex)
    if let meter { since = Thread.time(meter) }
  }
  @inline(__always) package func unlock() {
    if let meter { longestHold = max(longestHold, Thread.time(meter) - since) }
    pthread_mutex_unlock(mutex)
  }

  /// Nanoseconds; 0 when it is not metered. From now on it is measured anew.
  package func takeLongestHold() -> Int64 {
    withLock {
      defer { longestHold = 0 }
      return longestHold
    }
  }

  @inline(__always)
  package func withLock<Result, Thrown: Error>(_ body: () throws(Thrown) -> Result) throws(Thrown) -> Result {
    lock()
    defer { unlock() }
    return try body()
  }

  /// Waits for `condition` with this lock held.
  fileprivate func wait(_ condition: UnsafeMutablePointer<pthread_cond_t>) {
    pthread_cond_wait(condition, mutex)
  }
  fileprivate func wait(_ condition: UnsafeMutablePointer<pthread_cond_t>, nanoseconds: Int64) {
    var until = timespec()
    clock_gettime(CLOCK_MONOTONIC, &until)
    let total = Int64(until.tv_nsec) + nanoseconds
    until.tv_sec += Int(total / 1_000_000_000)
    until.tv_nsec = Int(total % 1_000_000_000)
    pthread_cond_timedwait(condition, mutex, &until)
  }
}

/// Lets one thread sleep until another wakes it; a wake before the sleep is not lost.
package final class WakeUp: @unchecked Sendable {  // `isSet` is guarded by `lock`
  private let lock = EngineLock()
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var isSet = false

  package init() {
    condition = .allocate(capacity: 1)
    condition.initialize(to: pthread_cond_t())
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    condition.deallocate()
  }

  package func wake() {
    lock.withLock { isSet = true }
    pthread_cond_signal(condition)
  }

  package func sleep() {
    lock.withLock {
      while !isSet { lock.wait(condition) }
      isSet = false
    }
  }

  /// Sleeps at most this long. False when nobody has woken it.
  @discardableResult
  package func sleep(nanoseconds: Int64) -> Bool {
    lock.withLock {
      if !isSet { lock.wait(condition, nanoseconds: nanoseconds) }
      defer { isSet = false }
      return isSet
    }
  }
}
