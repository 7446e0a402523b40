// Tells ThreadSanitizer what Synchronization.Mutex does when two threads want it at once.
//
// Mutex takes and leaves its lock by an atomic that is compiled into the caller, which the sanitizer sees.
// Only with contention it calls into libswiftSynchronization, which is not instrumented: the lock is then
// taken unseen, and everything it guards looks like a race. These two functions stand before the library's
// (scripts/test-threads preloads them) and name the order that the lock makes.
//
// Both are Swift methods: the mutex's address comes in the context register.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define CONTEXT __attribute__((swift_context))
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

void __tsan_acquire(void *);
void __tsan_release(void *);

static SWIFT void (*real_lock)(uint32_t, CONTEXT void *);
static SWIFT void (*real_unlock)(CONTEXT void *);

// The sanitizer's symbolizer inherits the preload and has neither: nothing there calls them.
__attribute__((constructor)) static void prepare(void) {
  *(void **)&real_lock = dlsym(RTLD_NEXT, LOCK_SLOW);
  *(void **)&real_unlock = dlsym(RTLD_NEXT, UNLOCK_SLOW);
}

SWIFT void lock_slow(uint32_t thread, CONTEXT void *mutex) __asm__(LOCK_SLOW);
SWIFT void lock_slow(uint32_t thread, CONTEXT void *mutex) {
  real_lock(thread, mutex);
  __tsan_acquire(mutex);
}

SWIFT void unlock_slow(CONTEXT void *mutex) __asm__(UNLOCK_SLOW);
SWIFT void unlock_slow(CONTEXT void *mutex) {
  __tsan_release(mutex);
  real_unlock(mutex);
}
