// The end of an attempt from outside.
//
// To end an attempt another thread stores its number and signals the worker's thread. The handler runs on
// that thread, so setting a hook on the running coroutine is safe there (ldebug.c says so of
// lua_sethook); the hook raises at the next instruction and keeps raising until the stack is unwound.
//
//   idle (attempt_number 0) -> running n -> ending (kill_number == n) -> idle
#include <signal.h>
#include "watch/th_watch.h"

#define TH_SIGNAL SIGURG  // ignored by default and passed on by debuggers; Go preempts with it too

static _Thread_local th_worker *bound_worker;

static void on_signal(int number) {
  (void)number;
  th_worker *w = bound_worker;
  if (w && th_ending(w)) th_set_end_hook(w->running);
}

static void install_handler(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(TH_SIGNAL, &action, NULL);
}

void th_worker_bind(th_worker *w) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install_handler);
  bound_worker = w;
  w->thread = pthread_self();
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, TH_SIGNAL);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  w->bound = 1;
}

void th_worker_unbind(th_worker *w) {
  if (bound_worker == w) bound_worker = NULL;
  w->bound = 0;
}

uint64_t th_worker_running(const th_worker *w) {
  return atomic_load_explicit(&w->attempt_number, memory_order_acquire);
}

void th_worker_kill(th_worker *w, uint64_t running, int reason) {
  if (!running || th_worker_running(w) != running) return;
  atomic_store_explicit(&w->kill_reason, reason, memory_order_relaxed);
  atomic_store_explicit(&w->kill_number, running, memory_order_release);
  if (w->bound) pthread_kill(w->thread, TH_SIGNAL);
}
