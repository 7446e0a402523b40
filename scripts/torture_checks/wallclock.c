// A wall clock that steps, for one process and its children: loaded with LD_PRELOAD by the check `clocks`.
//
// TORTURE_CLOCK names a file of eight bytes: nanoseconds that the wall clock is ahead of the machine's. Only what reads or
// waits for the wall clock changes; monotonic clocks and the CPU time of threads stay as they are. (libfaketime also moves
// the clocks that pthread_getcpuclockid gives, so scripts seem to have used seconds of CPU time at a step.)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t *shared;
static int is_wall_timer[4096];

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("TORTURE_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *memory = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (memory != MAP_FAILED) shared = memory;
  close(file);
}

static int64_t offset(void) { return shared ? *shared : 0; }

static int is_wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

static struct timespec moved(struct timespec time, int64_t by) {
  int64_t all = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec + by;
  if (all < 0) all = 0;
  return (struct timespec){.tv_sec = all / 1000000000, .tv_nsec = all % 1000000000};
}

// What the process calls is ours; this is the C library's.
#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int clock_gettime(clockid_t clock, struct timespec *time) {
  REAL(clock_gettime);
  int result = real(clock, time);
  if (result == 0 && is_wall(clock)) *time = moved(*time, offset());
  return result;
}

int gettimeofday(struct timeval *restrict value, void *restrict zone) {
  (void)zone;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  *value = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t *value) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (value) *value = now.tv_sec;
  return now.tv_sec;
}

int timespec_get(struct timespec *value, int base) {
  return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, value) == 0 ? base : 0;
}

// Deadlines of the wall clock are given to the kernel as the machine's clock has them.

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *rest) {
  REAL(clock_nanosleep);
  if (!is_wall(clock) || !(flags & TIMER_ABSTIME)) return real(clock, flags, until, rest);
  struct timespec machine = moved(*until, -offset());
  return real(clock, flags, &machine, rest);
}

int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until) {
  REAL(pthread_cond_clockwait);
  struct timespec machine = moved(*until, is_wall(clock) ? -offset() : 0);
  return real(condition, mutex, clock, &machine);
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until) {
  // glibc keeps a condition's clock in the second bit of this field: 1 is the monotonic one.
  int monotonic = condition->__data.__wrefs & 2;
  return pthread_cond_clockwait(condition, mutex, monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME, until);
}

int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until) {
  REAL(pthread_mutex_timedlock);
  struct timespec machine = moved(*until, -offset());
  return real(mutex, &machine);
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until) {
  REAL(sem_timedwait);
  struct timespec machine = moved(*until, -offset());
  return real(semaphore, &machine);
}

int timerfd_create(clockid_t clock, int flags) {
  REAL(timerfd_create);
  int timer = real(clock, flags);
  if (timer >= 0 && timer < 4096) is_wall_timer[timer] = is_wall(clock);
  return timer;
}

int timerfd_settime(int timer, int flags, const struct itimerspec *value, struct itimerspec *old) {
  REAL(timerfd_settime);
  struct itimerspec machine = *value;
  int armed = machine.it_value.tv_sec || machine.it_value.tv_nsec;
  if (armed && (flags & TFD_TIMER_ABSTIME) && timer >= 0 && timer < 4096 && is_wall_timer[timer]) {
    machine.it_value = moved(machine.it_value, -offset());
    if (!machine.it_value.tv_sec && !machine.it_value.tv_nsec) machine.it_value.tv_nsec = 1;
  }
  return real(timer, flags, &machine, old);
}
