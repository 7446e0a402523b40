// A worker's life, the run of one attempt, and its end from outside.
//
// To end an attempt another thread stores its number and signals the worker's thread. The handler runs on
// that thread, so setting a hook on the running coroutine is safe there (ldebug.c says so of
// lua_sethook); the hook raises at the next instruction and keeps raising until the stack is unwound.
// Nothing is hooked otherwise: a set hook slows every instruction.
//
//   idle (attempt_number 0) -> running n -> ending (kill_number == n) -> idle
#define _GNU_SOURCE  // pthread_setname_np
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <lualib.h>
#include "th_runner.h"

enum { ERROR_BYTES = 8192, MESSAGE_BYTES = 6000, ENDING_BYTES = 256 };
static _Thread_local th_worker *bound_worker;
static const char end_marker;

#ifdef TH_CHECKS
void th_check_effect(const th_effect *e) {
  int change = lua_gettop(e->L) - e->top;
  if (change >= e->least && change <= e->most) return;
  fprintf(stderr, "trigger-host: %s changed Lua's stack by %d, not by %d to %d\n", e->function, change, e->least, e->most);
  abort();
}
#endif

// --- ending an attempt

// Setting a hook marks every frame of the coroutine (ldebug.c, settraps), so it is done once: signals that come
// while half a million frames are marked, or faster than that goes, would leave the script no time to end.
static void hook_end(lua_State *L) {
  if (lua_gethook(L) == th_end_hook && lua_gethookmask(L) & LUA_MASKCOUNT) return;
  lua_sethook(L, th_end_hook, LUA_MASKCOUNT, 1);
}

// Only what was running was hooked so far. What runs on the way out (__close) is as much to end.
int th_raise_end(lua_State *L) {
  hook_end(L);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&end_marker);
  return lua_error(L);
}

// Also the hook of a traced run, and the place where an attempt that allocates much collects.
void th_end_hook(lua_State *L, lua_Debug *ar) {
  th_worker *w = th_worker_of(L);
  if (th_ending(w)) th_raise_end(L);
  if (th_stacks_moved(th_alloc_stacks(w))) th_stacks_check(L);
  if (ar->event != LUA_HOOKCOUNT) {
    if (w->tracer && ar->event != LUA_HOOKRET) th_trace_event(w, L, ar);
    return;
  }
  if (th_alloc_wants_collection(w)) th_alloc_collect(L);
  if (th_stacks_moved(th_alloc_stacks(w))) th_stacks_check(L);  // a collection makes stacks smaller
  lua_sethook(L, w->tracer ? th_end_hook : NULL, w->tracer ? TH_TRACE_MASK : 0, 0);
  if (th_ending(w)) th_raise_end(L);  // a signal between the first test and lua_sethook
}

static void on_signal(int number) {
  (void)number;
  th_worker *w = bound_worker;
  if (w && th_ending(w)) hook_end(w->running);
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

void th_name_thread(const char *name) {
#ifdef __linux__
  char cut[16];
  snprintf(cut, sizeof cut, "%s", name);
  pthread_setname_np(pthread_self(), cut);
#else
  pthread_setname_np(name);
#endif
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

// --- error texts

// Bytes that are no UTF-8 become one byte each: what reads the text would put three in place of every one.
static void mend_utf8(char *text, size_t length) {
  if (th_valid_utf8((const uint8_t *)text, length)) return;
  for (size_t i = 0, n; i < length; i += n) {
    unsigned char c = (unsigned char)text[i];
    n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (n <= length - i && th_valid_utf8((const uint8_t *)text + i, n)) continue;
    text[i] = '?';
    n = 1;
  }
}

void th_set_error(th_worker *w, const char *text, size_t length) {
  length = th_cut(text, length, ERROR_BYTES - 1);
  memcpy(w->error, text, length);
  mend_utf8(w->error, length);
  w->error[length] = 0;
  w->error_length = length;
}

const char *th_worker_error(const th_worker *w, size_t *length) {
  if (length) *length = w->error_length;
  return w->error;
}

static int to_text(lua_State *L) {
  size_t n;
  th_tostring(L, 1, &n);
  return 1;
}

// `text` has room for ENDING_BYTES.
static const char *ending_text(th_worker *w, const char *place, char *text) {
  if (w->runner->chained)
    snprintf(text, ENDING_BYTES, "%sa table has too many numeric keys that hash alike in its next size: it would grow for "
             "seconds", w->runner->memory_place);
  else if (w->out_of_memory)
    snprintf(text, ENDING_BYTES, "%sout of memory: the attempt reached its limit of %zu bytes%s", w->runner->memory_place,
             w->limits->memory_bytes, w->runner->deep ? " (calls nested very deep: endless recursion?)" : "");
  else
    snprintf(text, ENDING_BYTES, "%s%s", place, atomic_load(&w->kill_reason) == TH_KILL_TIMEOUT
             ? "timeout: the attempt used up its time" : "cancelled");
  return text;
}

static int in_lua(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; level < 50 && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "S", &ar);
    if (*ar.what != 'C') return 1;
  }
  return 0;
}

// "file:line: " of the innermost frame that has a line.
static void push_place(lua_State *L) {
  TH_EFFECT(L, 1);
  lua_Debug ar;
  for (int level = 1; level < 20 && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    return;
  }
  lua_pushliteral(L, "");
}

static int is_overflow(const char *text, size_t length) {
  static const char end[] = "stack overflow";
  return length >= sizeof end - 1 && memcmp(text + length - (sizeof end - 1), end, sizeof end - 1) == 0;
}

// The message handler: any error object becomes "message\nstack traceback: ...", cut to ERROR_BYTES.
static int describe(lua_State *L) {
  th_worker *w = th_worker_of(L);
  th_note_limit(L, 1);
  if (w->abandoned) return 1;
  // Again, from a __close on the way out: of those there may be as many as there were calls.
  if (th_ending(w) && w->runner->ending_told) return 1;
  lua_settop(L, 1);
  if (th_ending(w)) {
    char ending[ENDING_BYTES];
    if (w->out_of_memory) lua_pushliteral(L, ""); else push_place(L);
    lua_pushstring(L, ending_text(w, "", ending));
    lua_concat(L, 2);
  } else if (lua_type(L, 1) != LUA_TSTRING) {
    int chunks = w->chunks;
    lua_pushcfunction(L, to_text);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
      th_chunks_unwind(w, chunks);
      th_note_limit(L, -1);
      lua_pushfstring(L, "(error object is a %s value and its __tostring failed)", luaL_typename(L, 1));
    }
  }
  size_t n;
  const char *text = lua_tolstring(L, -1, &n);
  if (!text) text = "(no error text)", n = strlen(text);
  if (is_overflow(text, n)) {
    // Raised by Lua inside of a C function it has no place.
    if (strcmp(text, "C stack overflow") == 0) push_place(L); else lua_pushliteral(L, "");
    lua_pushfstring(L, "%s%s (calls nested very deep: endless recursion?)", lua_tostring(L, -1), text);
    text = lua_tolstring(L, -1, &n);
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, text, th_cut(text, n, MESSAGE_BYTES));
  if (n > MESSAGE_BYTES) luaL_addstring(&b, "... (cut)");
  luaL_pushresult(&b);
  if (in_lua(L)) th_traceback(L, L, lua_tostring(L, -1), 1);
  if (th_ending(w)) {
    text = lua_tolstring(L, -1, &n);
    th_set_error(w, text, n);
    w->runner->ending_told = 1;
  }
  return 1;
}

static void take_error(th_worker *w, lua_State *L) {
  if (w->runner->ending_told) return;
  size_t n = 0;
  char ending[ENDING_BYTES];
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
  int in_memory = text && strncmp(text, "not enough memory", n) == 0;
  if (th_ending(w) && (!text || in_memory)) {
    text = ending_text(w, w->runner->memory_place, ending);
    n = strlen(text);
  }
  if (!text) { text = "error in error handling"; n = strlen(text); }
  th_set_error(w, text, n);
}

// --- attempts

static int once(th_worker *w, lua_CFunction body, void *argument, const th_limits *limits) {
  lua_State *L = w->main;
  w->stack_base = (uintptr_t)__builtin_frame_address(0);
  lua_settop(L, 1);
  th_make_room(L, 1);
  th_alloc_begin(w, limits->memory_bytes, w->runner->counting);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, argument);
  w->running = L;
  if (__builtin_expect(w->tracer != NULL, 0)) th_trace_begin(w, L);
  int status = lua_pcall(L, 1, 0, 1);
  th_chunks_unwind(w, 0);
  w->chunks_outside = 0;
  w->running = L;
  th_alloc_end(w);
  if (__builtin_expect(status == LUA_OK && !th_ending(w), 1)) return TH_OK;
  if (status != LUA_OK) th_note_limit(L, -1);
  if (!w->abandoned) take_error(w, L);
  lua_settop(L, 1);
  return w->out_of_memory ? TH_OUT_OF_MEMORY : th_ending(w) ? TH_KILLED : TH_SCRIPT_ERROR;
}

static void reset_output(th_output *o) {
  if (o) o->bytes_length = o->intents_length = o->returned_length = 0;
}

// After a run that was given up: whether it can begin anew, and makes it ready to. Nothing of it counts but how much
// it said.
static int begin_anew(th_worker *w) {
  struct th_runner *r = w->runner;
  if (!w->abandoned || w->out_of_memory || !r->trigger) return 0;
  if (w->abandoned == TH_STACK_MOVED) {
    if (r->trigger->lasting || r->room == TH_ROOM_MOST) return 0;
    r->room = ++r->trigger->room;
  } else if (w->abandoned == TH_MEMORY_SUSPECTED) {
    r->counting = TH_COUNT_EXACTLY;
  } else {
    r->trigger->fresh = r->fresh = 1;
  }
  w->abandoned = 0;
  if (r->logs > r->logs_to_skip) r->logs_to_skip = r->logs;
  r->logs = 0;
  r->seen_length = 0;
  reset_output(w->output);
  lua_sethook(w->main, NULL, 0, 0);
  if (w->tracer) th_trace_again(w);
  return 1;
}

int th_protected(th_worker *w, lua_CFunction body, void *argument, const th_limits *limits) {
  static const char too_deep[] = "stack overflow: a __concat of an expression with three or more values calls too deep";
  struct th_runner *r = w->runner;
  w->limits = limits;
  w->out_of_memory = w->abandoned = 0;
  r->memory_place[0] = 0;
  r->logs = r->logs_to_skip = 0;
  r->seen_length = 0;
  r->ending_told = r->chained = r->guards_called = 0;
  r->fresh = r->trigger && r->trigger->fresh;
  r->room = r->trigger ? r->trigger->room : 0;
  r->counting = r->trigger ? TH_COUNT_AT_LEAST : TH_COUNT_FROM_HERE;
  reset_output(w->output);
  atomic_store_explicit(&w->attempt_number, ++w->attempts, memory_order_release);
  int status = once(w, body, argument, limits);
  while (__builtin_expect(w->abandoned, 0) && begin_anew(w))
    status = th_ending(w) ? TH_KILLED : once(w, body, argument, limits);
  if (__builtin_expect(w->abandoned == TH_STACK_MOVED && !w->out_of_memory, 0)) {
    th_set_error(w, too_deep, sizeof too_deep - 1);
    status = TH_SCRIPT_ERROR;
  }
  w->abandoned = 0;
  atomic_store_explicit(&w->attempt_number, 0, memory_order_release);
  if (__builtin_expect(lua_gethookmask(w->main), 0)) lua_sethook(w->main, NULL, 0, 0);
  if (__builtin_expect(status != TH_OK, 0)) {
    if (status == TH_OUT_OF_MEMORY) {
      w->out_of_memory = 0;
      lua_gc(w->main, LUA_GCCOLLECT);
    }
    if (w->output) w->output->returned_length = 0;
  }
  w->out_of_memory = 0;
  th_api_attempt_end(w);
  th_alloc_sweep(w);
  return status;
}

static int run_body(lua_State *L) {
  th_worker *w = th_worker_of(L);
  struct th_runner *r = w->runner;
  if (__builtin_expect(r->fresh || r->trigger->execute_ref == LUA_NOREF, 0)) th_push_execute(L, r->trigger);
  else th_get_ref(L, r->trigger->execute_ref);
  w->clock_ns = w->info->admission_ns;
  th_seed(w, w->info->random_seed);
  th_decode(L, r->event, r->event_length);
  th_get_ref(L, r->ctx_ref);
  lua_call(L, 2, 1);
  th_collect_returned(L, lua_gettop(L));
  return 0;
}

int th_run(th_worker *w, th_trigger *t, void *attempt, const th_attempt_info *info,
           const uint8_t *event, size_t event_length, const th_limits *limits, th_output *output) {
  struct th_runner *r = w->runner;
  w->attempt = attempt;
  w->info = info;
  w->output = output;
  w->tree = t->tree;
  r->trigger = t;
  r->event = event;
  r->event_length = event_length;
  int status = th_protected(w, run_body, NULL, limits);
  r->trigger = NULL;
  w->attempt = NULL;
  w->info = NULL;
  w->output = NULL;
  w->tree = NULL;
  return status;
}

void th_output_free(th_output *o) {
  free(o->bytes);
  free(o->intents);
  free(o->returned);
  memset(o, 0, sizeof *o);
}

int th_give_scratch(th_worker *w, uint8_t **bytes, size_t *length) {
  th_output *scratch = &w->runner->scratch;
  *bytes = malloc(scratch->bytes_length + 1);
  if (!*bytes) { th_set_error(w, "not enough memory", 17); return 0; }
  memcpy(*bytes, scratch->bytes, scratch->bytes_length);
  *length = scratch->bytes_length;
  return 1;
}

// --- life

static int panic(lua_State *L) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
  fprintf(stderr, "trigger-host: Lua error outside a protected call: %s\n", text);
  abort();
}

static int write_global(lua_State *L) {
  size_t n;
  const char *key = th_tostring(L, 2, &n);
  return luaL_error(L, "global '%s' is read-only: use local, or keep state in a store", key);
}

static int write_library(lua_State *L) {
  size_t n;
  const char *key = th_tostring(L, 2, &n);
  return luaL_error(L, "'%s.%s' is read-only", lua_tostring(L, lua_upvalueindex(1)), key);
}

static int open_body(lua_State *L) {
  struct th_runner *r = th_worker_of(L)->runner;
  th_open_modes(L);
  th_alloc_set_origin(th_worker_of(L), th_origin_of(th_worker_of(L), ""));
  int *refs[] = {&r->array_ref, &r->stores_ref, &r->passing_ref, &r->fresh_ref, &r->libraries_ref};
  for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
    lua_newtable(L);
    *refs[i] = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  th_push_weak_table(L);
  r->proxies_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  int globals = lua_gettop(L);
  th_open_base(L);
  th_open_coroutine(L);
  th_open_string(L);
  th_open_table(L);
  th_open_math(L);
  th_open_os(L);
  th_open_streams(L);
  th_open_require(L);  // package.loaded holds the libraries above
  th_open_api(L);
  lua_settop(L, globals);
  lua_pushnil(L);
  while (lua_next(L, globals)) {
    if (lua_istable(L, -1) && !lua_rawequal(L, -1, globals))
      th_freeze_library(L, lua_tostring(L, -2), write_library);
    lua_pop(L, 1);
  }
  th_freeze_library(L, "_G", write_global);
  th_alloc_test(L);
  lua_pushvalue(L, globals);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  th_purity_selftest(L);
  th_open_born(L);
  th_test_guards(L);
  r->globals_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

#ifdef __GLIBC__
#include <gnu/libc-version.h>
const char *th_libc_release(void) { return gnu_get_libc_version(); }
#else
const char *th_libc_release(void) { return ""; }
#endif

th_worker *th_worker_new(const th_host *host) {
  static const th_limits limits = {SIZE_MAX, SIZE_MAX, 0, 0, 0};
  th_worker *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->host = *host;
  atomic_store(&w->kill_number, UINT64_MAX);  // never an attempt's number
  w->runner = calloc(1, sizeof *w->runner);
  w->error = calloc(1, ERROR_BYTES);
  w->alloc = th_alloc_new(w);
  if (w->runner && w->error && w->alloc) w->main = lua_newstate(th_allocate, w->alloc);
  if (!w->main) { th_worker_free(w); return NULL; }
  *(th_worker **)lua_getextraspace(w->main) = w;
  w->running = w->main;
  lua_atpanic(w->main, panic);
  lua_gc(w->main, LUA_GCSTOP);
  lua_pushcfunction(w->main, describe);
  if (th_protected(w, open_body, NULL, &limits) == TH_OK) return w;
  th_worker_free(w);
  return NULL;
}

// The caller has stopped every thread that may call th_worker_kill on this worker.
void th_worker_free(th_worker *w) {
  if (!w) return;
  if (bound_worker == w) bound_worker = NULL;
  w->bound = 0;
  if (w->main) lua_close(w->main);
  if (w->alloc) th_alloc_free(w->alloc);
  if (w->runner) {
    th_output_free(&w->runner->scratch);
    free(w->runner->seen);
    free(w->runner->marks);
    th_origins_free(w->runner);
  }
  free(w->runner);
  free(w->tracer);
  free(w->error);
  free(w);
}
