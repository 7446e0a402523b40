// What every floor stands on: a worker's data, what a function leaves on Lua's stack, which Lua is linked. Swift sees
// nothing of it, only th_worker.h.
//
// Every folder beside this one is a floor. Its files name what stands in it and below, and each floor's header includes
// the one below, so that what it can name stands in the first line. Tests/TriggerLuaTests/FloorTests.swift has the order.
#ifndef TH_GROUND_H
#define TH_GROUND_H

#include <lua.h>
#include <lauxlib.h>
#include <pthread.h>
#include <stdatomic.h>
#include "ground/th_utf8.h"
#include "th_worker.h"

struct th_worker {
  lua_State *main;
  lua_State *volatile running;   // the coroutine now executing; written by the worker's thread only
  pthread_t thread;              // valid when bound
  uintptr_t stack_base;          // address on the C stack where the attempt began; the stack grows down
  int bound;
  th_host host;
  // --- the attempt in progress; worker's thread only
  void *attempt;
  const th_attempt_info *info;
  const th_limits *limits;
  th_output *output;
  uint64_t random[4];            // xoshiro256** state of math.random
  int64_t clock_ns;              // what os.time shows
  int looked;                    // a chunk that is running has looked at clock or random
  th_tree *tree;                 // tree of the trigger or chunk now executing
  int chunks;                    // script and module chunks now running (th_chunk.c)
  int chunks_outside;            // those that ran when the coroutine now running was resumed
  // --- asked by other threads
  _Atomic uint64_t attempt_number;   // 0 when idle
  uint64_t attempts;                 // last number given
  _Atomic uint64_t kill_number;      // attempt that is to end
  _Atomic int kill_reason;
  size_t held_next;              // *info->held_bytes at which to look again (th_check_held)
  size_t held_before;            // *info->held_bytes that do not count
  int out_of_memory;             // the limit was hit: the attempt is lost even if the script catches it
  // --- memory (th_alloc.c)
  struct th_alloc *alloc;
  // --- error text of the last failed call
  char *error; size_t error_length;
  struct th_tracer *tracer;      // th_trace.c; NULL when the run is not traced
  // --- the rest, which fewer files know
  enum th_abandoned {            // why the attempt is to run again (th_protected)
    TH_FROZEN_WRITTEN = 1,       // with fresh chunks
    TH_STACK_MOVED,              // with a larger stack
    TH_MEMORY_SUSPECTED,         // with its memory counted exactly
  } abandoned;
  struct th_runner *runner;
};

// What of the state's memory is not a run's own.
enum th_counting {
  TH_COUNT_AT_LEAST,   // what is kept between runs takes so much at least: no more than a suspicion comes of it
  TH_COUNT_EXACTLY,    // everything else is collected first
  TH_COUNT_FROM_HERE,  // whatever is there
};

// What a worker keeps beside th_worker. Touched by the worker's thread only. What a pointer here leads to is the
// business of the floor that its comment names.
struct th_runner {
  int ctx_ref, globals_ref, array_ref;   // registry references made once
  int libraries_ref;                     // content to library table, as proxies_ref
  int proxies_ref;                       // content to the frozen table that stands for it: weak keys
  int stores_ref, passing_ref;           // name to store object: permanent ones, this attempt's
  int fresh_ref;                         // path to module of the attempt that runs chunks anew
  int fresh;                             // chunks run anew in this attempt
  size_t handler_offset;                 // in a coroutine; 0 where this Lua forgets it itself
  int room;                              // of stacks in this attempt; see th_stacks.c
  enum th_counting counting;             // in this run; see th_alloc.c
  int passing_used;                      // passing stores are to be dropped when the attempt ends
  int analysis_works;                    // the dump parser recognised the samples of th_purity_selftest
  th_trigger *trigger;                   // being run or loaded (th_attempt.h)
  const uint8_t *event; size_t event_length;
  struct th_loading *loading;            // innermost; as many as worker->chunks (th_watch.h)
  uint64_t chunk_numbers;                // last one given
  struct th_origins *origins;            // th_born.c
  int numbers_work;                      // an object's number is where th_born.c looks for it
  int ending_told;                       // the attempt's end is described in the worker's error
  char memory_place[80]; int deep;       // of the refusal that ended the attempt
  int chained;                           // it was refused for a table's keys (th_growth.c)
  uint8_t *marks; uint32_t marks_capacity;  // th_collect_returned: intents already met
  int guards_called;                     // of frozen tables, in this run
  uint64_t logs, logs_to_skip;           // a rerun does not repeat the lines of the abandoned run
  th_output scratch;                     // log fields, specs
  struct th_seen_version *seen; uint32_t seen_length, seen_capacity;  // read_snapshot of this attempt (th_api.h)
};

static inline th_worker *th_worker_of(lua_State *L) { return *(th_worker **)lua_getextraspace(L); }

#define th_get_ref(L, ref) lua_rawgeti((L), LUA_REGISTRYINDEX, (ref))
#define th_push_null(L) lua_pushlightuserdata((L), NULL)

// --- th_effect.c
// What a function that other C calls leaves on the stack stands in its comment, as in Lua's manual ([-1, +1]), and in
// its first line: a build with TH_CHECKS (a debug build: Package.swift) holds it to that at every return. An error that
// passes through is no return.
#ifdef TH_CHECKS
typedef struct th_effect { lua_State *L; int top, least, most; const char *function; } th_effect;
void th_check_effect(const th_effect *effect);
#define TH_EFFECT_BETWEEN(L, least, most) \
  __attribute__((cleanup(th_check_effect))) \
  const th_effect th_effect_here = {(L), lua_gettop(L), (least), (most), __func__}
#else
#define TH_EFFECT_BETWEEN(L, least, most) (void)0
#endif
#define TH_EFFECT(L, change) TH_EFFECT_BETWEEN(L, change, change)

// --- th_guards.c
enum th_guard { TH_GUARD_STACKS = 1, TH_GUARD_HANDLER = 2, TH_GUARD_CODE = 4, TH_GUARD_NAMES = 8 };
int th_guards(void);                   // which this Lua needs
const char *th_guard_name(int bit);    // of one of them

// --- th_content.c
// When the table at index is frozen (a loaded module's, kept between executions) pushes the table that
// holds its content and returns 1; else pushes nothing and returns 0. Everything that looks at a table
// raw (next, pairs, rawget, rawlen, table.*) looks at the content instead; a raw write to a frozen table
// calls th_frozen_write.
int th_frozen_content(lua_State *L, int index);
extern const char th_content_key;      // guard[&th_content_key] = content (th_freeze.c)

#endif
