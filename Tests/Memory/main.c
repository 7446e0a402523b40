// Rounds, and what is said when one goes wrong. `scripts/test-memory` builds and calls it.
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sanitizer/common_interface_defs.h>
#include "drive.h"

static uint64_t seed;
static const char *running_what = "nothing", *running_path = "", *running_source = "";

void now_running(const char *what, const char *path, const char *source) {
  running_what = what;
  running_path = path;
  running_source = source;
}

// Also where a sanitizer has found something.
static void say_how_again(void) {
  static const char name[] = "/tmp/test-memory-failed.lua";
  fprintf(stderr, "\ntest-memory: seed %llu went wrong, in %s (%s)\n", (unsigned long long)seed, running_what, running_path);
  if (*running_source) {
    FILE *f = fopen(name, "w");
    if (f) {
      fputs(running_source, f);
      fclose(f);
      fprintf(stderr, "test-memory: its script is %s\n", name);
    }
  }
  fprintf(stderr, "test-memory: again: scripts/test-memory --seed %llu --rounds 1\n", (unsigned long long)seed);
}

_Noreturn void wrong(const char *format, ...) {
  va_list list;
  va_start(list, format);
  fprintf(stderr, "test-memory: ");
  vfprintf(stderr, format, list);
  va_end(list);
  say_how_again();
  _exit(1);
}

// --- the watchdog: as the engine's, but it may come at any time

static _Atomic(th_worker *) watched;
static _Atomic uint64_t watched_until;
static atomic_flag watch_lock = ATOMIC_FLAG_INIT;
_Atomic uint64_t watch_ends;

static uint64_t microseconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void lock(void) { while (atomic_flag_test_and_set(&watch_lock)) {} }
static void unlock(void) { atomic_flag_clear(&watch_lock); }

// When it returns, nobody looks at the worker that was watched before.
void watch(th_worker *w, uint64_t microseconds) {
  lock();
  atomic_store(&watched, microseconds ? w : NULL);
  atomic_store(&watched_until, microseconds_now() + microseconds);
  unlock();
}

static void *watchdog(void *unused) {
  (void)unused;
  enum { STUCK = 120 * 1000000 };
  for (uint64_t last_ended = 0;;) {
    struct timespec pause = {0, 200000};
    nanosleep(&pause, NULL);
    lock();
    th_worker *w = atomic_load(&watched);
    uint64_t until = atomic_load(&watched_until), now = microseconds_now();
    uint64_t attempt = w && now >= until ? th_worker_running(w) : 0;
    if (attempt) {
      if (attempt != last_ended) atomic_fetch_add(&watch_ends, 1);
      last_ended = attempt;
      th_worker_kill(w, attempt, TH_KILL_TIMEOUT);
      if (now > until + STUCK) wrong("what runs does not end");
    }
    unlock();
  }
  return NULL;
}

// --- rounds

static void drive_generated(chance *c) {
  text script = {0}, module = {0};
  grammar_script(c, &script);
  grammar_module(c, &module);
  file list[] = {{"s.lua", script.bytes, script.length}, {"lib/m.lua", module.bytes, module.length}};
  tree_files files = {list, 2};
  now_running("a generated script", "s.lua", script.bytes);
  drive_script(c, &files, "s.lua", 16u << 20, 0);
  now_running("nothing", "", "");
  text_free(&script);
  text_free(&module);
}

static void drive_hostile(chance *c, const hostile *script) {
  text source = {0};
  corpus_source(script, &source);
  file list[] = {
    {"s.lua", source.bytes, source.length},
#define MODULE(path, text) {path, text, sizeof text - 1}
    MODULE("lib/fails.lua", "math.random() error('on purpose')"),
    MODULE("lib/needs.lua", "return require 'lib.fails'"),
    MODULE("lib/closes.lua",
           "local x <close> = setmetatable({}, { __close = function() error('closing') end }) error('on purpose')"),
    MODULE("lib/good.lua", "return { load = function() return require 'lib.fails' end }"),
    MODULE("lib/loops.lua", "while true do end"),
#undef MODULE
  };
  tree_files files = {list, sizeof list / sizeof *list};
  now_running("a hostile script", script->name, source.bytes);
  drive_script(c, &files, "s.lua", script->memory, script->is_endless);
  now_running("nothing", "", "");
  text_free(&source);
}

static void round_of(uint64_t number, const corpus *all) {
  chance c = {number};
  chance_next(&c);
  for (int i = 0; i < 4; i++) drive_generated(&c);
  drive_values(&c);
  if (all->count) drive_hostile(&c, &all->scripts[number % all->count]);
}

typedef struct options { uint64_t seed, rounds; double seconds; const char *corpus; } options;

static void *drive(void *options_) {
  const options *o = options_;
  corpus all = {0};
  if (!corpus_read(&all, o->corpus)) wrong("no scripts in %s", o->corpus);
  uint64_t start = microseconds_now(), said = start, rounds = 0;
  for (; o->rounds ? rounds < o->rounds : (double)(microseconds_now() - start) < o->seconds * 1e6; rounds++) {
    seed = o->seed + rounds;
    round_of(seed, &all);
    if (microseconds_now() - said < 60000000) continue;
    said = microseconds_now();
    printf("test-memory: seed %llu, %llu runs\n", (unsigned long long)seed, (unsigned long long)runs);
    fflush(stdout);
  }
  scripts_end();
  corpus_free(&all);
  printf("test-memory: seeds %llu to %llu: %llu runs, %llu of them compared, %llu ended from outside; %llu values read, %llu "
         "refused; %llu requests for memory failed: good\n",
         (unsigned long long)o->seed, (unsigned long long)(o->seed + rounds - 1), (unsigned long long)runs,
         (unsigned long long)runs_compared, (unsigned long long)atomic_load(&watch_ends),
         (unsigned long long)values_decoded, (unsigned long long)values_refused, (unsigned long long)failed_requests);
  return NULL;
}

// driver --corpus DIR [--seed S] [--rounds N | --seconds N]
int main(int count, char **words) {
  options o = {.seed = (uint64_t)time(NULL), .seconds = 120};
  for (int i = 1; i + 1 < count; i += 2) {
    if (strcmp(words[i], "--seed") == 0) o.seed = strtoull(words[i + 1], NULL, 10);
    else if (strcmp(words[i], "--rounds") == 0) o.rounds = strtoull(words[i + 1], NULL, 10);
    else if (strcmp(words[i], "--seconds") == 0) o.seconds = strtod(words[i + 1], NULL);
    else if (strcmp(words[i], "--corpus") == 0) o.corpus = words[i + 1];
    else { fprintf(stderr, "test-memory: what is %s?\n", words[i]); return 2; }
  }
  if (!o.corpus) { fprintf(stderr, "test-memory: --corpus is needed\n"); return 2; }
  printf("test-memory: seeds from %llu\n", (unsigned long long)o.seed);
  fflush(stdout);
  __sanitizer_set_death_callback(say_how_again);
  pthread_t watcher, driver;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64u << 20);  // frames are larger in this build
  if (pthread_create(&watcher, NULL, watchdog, NULL) || pthread_create(&driver, &attributes, drive, &o)) return 1;
  pthread_detach(watcher);
  pthread_join(driver, NULL);
  return 0;
}
