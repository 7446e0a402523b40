import Glibc

/// A mutex and a condition whose timed waits go by a clock that nobody sets: with Foundation's, a wait of a
/// millisecond takes an hour when the wall clock is set back by one meanwhile.
package final class Condition: @unchecked Sendable {  // a mutex is made to be shared
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
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
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  package func lock() { pthread_mutex_lock(mutex) }
  package func unlock() { pthread_mutex_unlock(mutex) }
  package func signal() { pthread_cond_signal(condition) }
  package func broadcast() { pthread_cond_broadcast(condition) }

  /// Waits for a signal, with the lock held. May return without one.
  package func wait() { pthread_cond_wait(condition, mutex) }

  /// As above, at most so long.
  package func wait(for span: Duration) {
    var until = timespec()
    clock_gettime(CLOCK_MONOTONIC, &until)
    let total = Int64(until.tv_nsec) + max(0, span.nanoseconds)
    until.tv_sec += Int(total / 1_000_000_000)
    until.tv_nsec = Int(total % 1_000_000_000)
    pthread_cond_timedwait(condition, mutex, &until)
  }
}
