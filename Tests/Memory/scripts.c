// One script in many ways. Kept or anew, on a new worker or on one that has run many others, traced or not, it gives
// the same; ended anywhere (time, memory, a request for memory that fails), it leaves a worker that goes on.
#define _GNU_SOURCE  // memmem
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drive.h"

enum { SCRIPTS_OF_A_WORKER = 60 };
static const uint64_t LONG = 150000, SHORT = 12000;  // microseconds

// A worker, the tree it loaded last, and a trigger that is known to be good.
typedef struct world {
  th_worker *worker;
  th_tree *tree, *healthy_tree;
  th_trigger *healthy;
  unsigned scripts;
} world;

typedef struct way { size_t memory; uint64_t microseconds; int is_anew, is_traced; } way;

uint64_t runs, runs_compared;

static const uint8_t event[] = "\xa3\x61\x61\x01\x61s\x64text\x64list\x83\x01\x02\x61x";
static const char healthy_text[] =
  "local lib = require 'lib.h'\n"
  "return { on = {event = 'x'}, execute = function(event, ctx)\n"
  "  local s, t = ctx:store('s'), {}\n"
  "  for k, v in s:scan('') do t[#t + 1] = k .. lib.show(v) end\n"
  "  local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)\n"
  "  print(table.concat(t, ','), co(), co(), math.random(1000), event.list[3])\n"
  "  return { s:put('k', t), ctx:emit('e', { n = #t }) }\n"
  "end }\n";
static const char healthy_module[] = "return { show = function(v) return type(v) == 'table' and '#' .. #v or tostring(v) end }\n";
static const file healthy_list[] = {
  {"h.lua", healthy_text, sizeof healthy_text - 1}, {"lib/h.lua", healthy_module, sizeof healthy_module - 1}};
static const tree_files healthy_files = {healthy_list, 2};
static text healthy_transcript;
static world old;  // lives through many scripts

static th_limits limits_of(size_t memory) { return (th_limits){memory, 1u << 20, 64, 1000, 1u << 20}; }

static int see_line(void *context, const char *path, int line, const char *changes, size_t length) {
  (void)path; (void)changes; (void)length;
  return line != *(int *)context;
}

// Leaves the transcript in `a`.
static int run(th_worker *w, th_trigger *t, attempt *a, way how) {
  th_attempt_info info = {5, 1700000000123456789, 42, "t", 1, "x", 1, &a->held};
  th_limits limits = limits_of(how.memory);
  th_output output = {0};
  int last_line = -1;
  uint8_t *copy = malloc(sizeof event - 1);
  memcpy(copy, event, sizeof event - 1);
  int was_fresh = t->fresh;
  if (how.is_anew) t->fresh = 1;
  if (how.is_traced && !th_worker_set_trace(w, see_line, &last_line)) wrong("no memory for a trace");
  attempt_begin(a);
  watch(w, how.microseconds);
  int status = th_run(w, t, a, &info, copy, sizeof event - 1, &limits, &output);
  watch(NULL, 0);
  if (how.is_traced) th_worker_set_trace(w, NULL, NULL);
  free(copy);
  attempt_finish(a, w, status, &output);
  th_output_free(&output);
  if (!was_fresh && how.is_anew && t->execute_ref != LUA_NOREF) t->fresh = 0;
  runs++;
  return status;
}

static th_trigger *load(th_worker *w, th_tree *tree, const char *path, size_t memory, uint64_t microseconds) {
  th_limits limits = limits_of(memory);
  th_worker_bind(w);
  watch(w, microseconds);
  th_trigger *t = th_trigger_load(w, tree, path, &limits);
  watch(NULL, 0);
  return t;
}

static th_tree *make_tree(th_worker *w, const tree_files *files) {
  return th_tree_new(w, (void *)(uintptr_t)files, 1600000000000000000, 7);
}

// --- a worker's life

static void world_free(world *of) {
  if (of->tree) th_tree_free(of->worker, of->tree);
  if (of->healthy_tree) th_tree_free(of->worker, of->healthy_tree);
  th_worker_free(of->worker);
  *of = (world){0};
}

// 0: out of memory.
static int world_make(world *of) {
  *of = (world){.worker = th_worker_new(&drive_host)};
  if (of->worker) of->healthy_tree = make_tree(of->worker, &healthy_files);
  if (of->healthy_tree) of->healthy = load(of->worker, of->healthy_tree, "h.lua", 1u << 20, 0);
  if (of->healthy) return 1;
  world_free(of);
  return 0;
}

// Whatever happened on it before, the worker runs what is good.
static void is_healthy(world *of) {
  attempt a = {0};
  int status = run(of->worker, of->healthy, &a, (way){.memory = 1u << 20});
  if (!healthy_transcript.bytes) text_add(&healthy_transcript, a.transcript.bytes, a.transcript.length);
  if (status != TH_OK || a.transcript.length != healthy_transcript.length ||
      memcmp(a.transcript.bytes, healthy_transcript.bytes, a.transcript.length) != 0)
    wrong("a good script gives something else on a worker that ran this:\n%s\nnot\n%s\n", a.transcript.bytes,
          healthy_transcript.bytes);
  attempt_free(&a);
}

static world *old_world(void) {
  if (old.worker && old.scripts++ < SCRIPTS_OF_A_WORKER) return &old;
  if (old.worker) world_free(&old);
  if (!world_make(&old)) wrong("no worker");
  is_healthy(&old);
  return &old;
}

void scripts_end(void) {
  if (old.worker) world_free(&old);
  text_free(&healthy_transcript);
}

// --- the same in every way

typedef struct wanted { text transcript; int is_known; } wanted;

// Some of a transcript, for people.
static void show(text *to, const text *from, size_t at) {
  for (size_t end = at + 600; at < end && at < from->length; at++) {
    unsigned char c = (unsigned char)from->bytes[at];
    if (c == '\n' || (c >= ' ' && c < 0x7f)) text_add(to, &c, 1);
    else text_say(to, "\\x%02x", c);
  }
}

static void compare(wanted *first, const text *transcript, const char *how) {
  if (!first->is_known) {
    first->is_known = 1;
    text_add(&first->transcript, transcript->bytes, transcript->length);
    return;
  }
  runs_compared++;
  if (transcript->length == first->transcript.length &&
      memcmp(transcript->bytes, first->transcript.bytes, transcript->length) == 0) return;
  size_t at = 0;
  while (at < transcript->length && at < first->transcript.length &&
         transcript->bytes[at] == first->transcript.bytes[at]) at++;
  while (at && transcript->bytes[at - 1] != '\n') at--;
  text here = {0}, there = {0};
  show(&here, transcript, at);
  show(&there, &first->transcript, at);
  wrong("%s, it gives\n%s\nnot\n%s\n", how, here.bytes, there.bytes);
}

// Lua 5.4.4 names another line for a division by zero, unless a hook looks at every line (Security.md).
static int has_own_lines(const attempt *a, way how) {
  static const char division[] = "attempt to divide by zero", modulo[] = "attempt to perform 'n%%0'";
  const text *said = &a->transcript;
  return how.is_traced && (memmem(said->bytes, said->length, division, sizeof division - 1) ||
                           memmem(said->bytes, said->length, modulo, sizeof modulo - 1));
}

static void run_and_compare(world *of, th_trigger *t, wanted *first, way how, const char *name) {
  attempt a = {0};
  int status = run(of->worker, t, &a, how);
  if (status != TH_KILLED && status != TH_OUT_OF_MEMORY && !has_own_lines(&a, how))
    compare(first, &a.transcript, name);
  attempt_free(&a);
}

static void compare_load_error(world *of, wanted *first, const char *how) {
  text error = {0};
  size_t length;
  const char *said = th_worker_error(of->worker, &length);
  text_say(&error, "does not load: ");
  text_add(&error, said, length);
  if (!strstr(said, "timeout: ") && !strstr(said, "memory")) compare(first, &error, how);
  text_free(&error);
}

static void in_every_way(world *of, th_trigger *t, wanted *first, chance *c, way how, const char *where) {
  char name[80];
  snprintf(name, sizeof name, "kept on %s", where);
  run_and_compare(of, t, first, how, name);
  if (chance_one_in(c, 2)) run_and_compare(of, t, first, how, name);
  snprintf(name, sizeof name, "anew on %s", where);
  how.is_anew = 1;
  run_and_compare(of, t, first, how, name);
  if (!chance_one_in(c, 4)) return;
  snprintf(name, sizeof name, "traced on %s", where);
  how.is_traced = 1;
  how.is_anew = (int)chance_below(c, 2);
  run_and_compare(of, t, first, how, name);
}

// --- ended anywhere

static void end_somewhere(world *of, th_trigger *t, chance *c, size_t memory) {
  attempt a = {0};
  way how = {memory, SHORT, (int)chance_below(c, 2), chance_one_in(c, 8)};
  if (chance_one_in(c, 2)) how.microseconds = 1 + chance_below(c, 2000);
  else how.memory = (size_t)1 << (10 + chance_below(c, 12));
  run(of->worker, t, &a, how);
  attempt_free(&a);
}

// A request that fails while the script loads or runs, or while its worker is made.
static void fail_somewhere(chance *c, const tree_files *files, const char *path, size_t memory, uint64_t n) {
  world of;
  int and_on = chance_one_in(c, 4), at_birth = chance_one_in(c, 20), at_load = chance_one_in(c, 3);
  if (at_birth) fail_at(1 + chance_below(c, 4000), and_on);
  int made = world_make(&of);
  if (!made && !at_birth) wrong("no worker");
  if (made && at_load) fail_at(n, and_on);
  if (made) of.tree = make_tree(of.worker, files);
  th_trigger *t = made && of.tree ? load(of.worker, of.tree, path, memory, SHORT) : NULL;
  if (t) {
    attempt a = {0};
    if (!at_birth && !at_load) fail_at(n, and_on);
    run(of.worker, t, &a, (way){memory, SHORT, (int)chance_below(c, 2), 0});
    attempt_free(&a);
  }
  fail_at(0, 0);
  if (!made) return;
  is_healthy(&of);
  world_free(&of);
}

static void fail_everywhere(chance *c, const tree_files *files, const char *path, size_t memory) {
  for (uint64_t n = 1; n < 400; n++) fail_somewhere(c, files, path, memory, n);
}

// --- all of it

static void on_a_new_worker(chance *c, const tree_files *files, const char *path, wanted *first, way how) {
  world of;
  if (!world_make(&of) || !(of.tree = make_tree(of.worker, files))) wrong("no worker");
  th_trigger *t = load(of.worker, of.tree, path, how.memory, LONG);
  if (t) in_every_way(&of, t, first, c, how, "a new worker");
  else compare_load_error(&of, first, "on a new worker");
  world_free(&of);
}

static void on_the_old_worker(chance *c, const tree_files *files, const char *path, wanted *first, way how) {
  world *of = old_world();
  th_tree *before = of->tree;
  of->tree = make_tree(of->worker, files);
  if (!of->tree) wrong("no tree");
  if (before) th_tree_free(of->worker, before);
  th_trigger *t = load(of->worker, of->tree, path, how.memory, LONG);
  if (!t) { compare_load_error(of, first, "on an old worker"); return; }
  if (chance_one_in(c, 3)) end_somewhere(of, t, c, how.memory);
  in_every_way(of, t, first, c, how, "an old worker");
  for (int i = 0; i < 2; i++) end_somewhere(of, t, c, how.memory);
  is_healthy(of);
  if (!chance_one_in(c, 4)) return;
  // A reload that changes another file.
  th_tree *next = make_tree(of->worker, files);
  if (!next || !th_tree_adopt(of->worker, next, of->tree, "other.lua", 10)) wrong("no tree");
  th_tree_free(of->worker, of->tree);
  of->tree = next;
  t = load(of->worker, next, path, how.memory, LONG);
  if (t) in_every_way(of, t, first, c, how, "an old worker after a reload");
}

void drive_script(chance *c, const tree_files *files, const char *path, size_t memory, int is_endless) {
  wanted first = {0};
  way how = {memory, is_endless ? SHORT : LONG, 0, 0};
  on_a_new_worker(c, files, path, &first, how);
  on_the_old_worker(c, files, path, &first, how);
  if (chance_one_in(c, 300)) fail_everywhere(c, files, path, memory);
  else fail_somewhere(c, files, path, memory, 1 + chance_below(c, chance_one_in(c, 2) ? 60 : 2000));
  text_free(&first.transcript);
}
