// What the system can do with a thread: its name, and less time for one that nobody can end.
#define _GNU_SOURCE  // gettid, SCHED_IDLE, pthread_setname_np
#include <pthread.h>
#include <stdio.h>
#include "th_worker.h"

void th_name_thread(const char *name) {
  char cut[16];
  snprintf(cut, sizeof cut, "%s", name);
  pthread_setname_np(pthread_self(), cut);
}

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

int th_this_thread(void) { return (int)gettid(); }

int th_lower_thread(int thread) {
  if (thread <= 0) return 0;
  const struct sched_param parameters = {0};
  const int idle = sched_setscheduler(thread, SCHED_IDLE, &parameters) == 0;
  // Where policies do not count (a container may forbid them), this does.
  const int nice = setpriority(PRIO_PROCESS, (id_t)thread, 19) == 0;
  return idle || nice;
}

int th_is_lowest_thread(int thread) {
  return sched_getscheduler(thread) == SCHED_IDLE || getpriority(PRIO_PROCESS, (id_t)thread) == 19;
}
