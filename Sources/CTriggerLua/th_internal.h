// Shared by the C files of this target; not seen by Swift.
#ifndef TH_INTERNAL_H
#define TH_INTERNAL_H

#include <lua.h>
#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include "th_worker.h"

#define TH_SIGNAL SIGURG  // ignored by default and passed on by debuggers; Go preempts with it too

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
  // --- the runner's own (th_runner.h)
  enum th_abandoned {            // why the attempt is to run again (th_protected)
    TH_FROZEN_WRITTEN = 1,       // with fresh chunks
    TH_STACK_MOVED,              // with a larger stack
    TH_MEMORY_SUSPECTED,         // with its memory counted exactly
  } abandoned;
  struct th_runner *runner;
};

// What a function that other C calls leaves on the stack stands in its comment, as in Lua's manual ([-1, +1]), and in
// its first line: a build with TH_CHECKS (a debug build: Package.swift) holds it to that at every return. An error that
// passes through is no return.
#ifdef TH_CHECKS
typedef struct th_effect { lua_State *L; int top, least, most; const char *function; } th_effect;
void th_check_effect(const th_effect *effect);  // th_effect.c
#define TH_EFFECT_BETWEEN(L, least, most) \
  __attribute__((cleanup(th_check_effect))) \
  const th_effect th_effect_here = {(L), lua_gettop(L), (least), (most), __func__}
#else
#define TH_EFFECT_BETWEEN(L, least, most) (void)0
#endif
#define TH_EFFECT(L, change) TH_EFFECT_BETWEEN(L, change, change)

static inline th_worker *th_worker_of(lua_State *L) { return *(th_worker **)lua_getextraspace(L); }

// True when the running attempt is to end (killed, over memory, or to be run again).
static inline int th_ending(th_worker *w) {
  return w->out_of_memory || w->abandoned ||
         atomic_load_explicit(&w->kill_number, memory_order_relaxed) ==
             atomic_load_explicit(&w->attempt_number, memory_order_relaxed);
}
// Raises the attempt's end; a script's pcall, coroutine.resume, __close or error handler passes it on.
int th_raise_end(lua_State *L);
// Call in every C loop whose length a script controls.
#define th_check(L) do { if (__builtin_expect(th_ending(th_worker_of(L)), 0)) th_raise_end(L); } while (0)

// The count hook that ends an attempt; set by the signal handler on `running`, and by our
// coroutine.resume on the coroutine it enters when th_ending.
void th_end_hook(lua_State *L, lua_Debug *ar);

// --- th_trace.c. None raises. All but the hook's mask need a tracer.
#define TH_TRACE_MASK (LUA_MASKLINE | LUA_MASKCALL)
void th_trace_begin(th_worker *w, lua_State *L);
void th_trace_again(th_worker *w);     // the run was abandoned and begins anew
void th_trace_event(th_worker *w, lua_State *L, lua_Debug *ar);

// --- th_chunk.c
// An error was caught where `outer` chunks ran: those inside of them run no more. Does not raise.
void th_chunks_unwind(th_worker *w, int outer);

// Where to cut text for at most `most` bytes: not within a character, when it is UTF-8. The one place that counts back.
static inline size_t th_cut(const char *text, size_t length, size_t most) {
  if (length <= most) return length;
  for (size_t back = 0; back < 4 && back <= most; back++)
    if (((unsigned char)text[most - back] & 0xc0) != 0x80) return most - back;
  return most;  // no character is that long
}

// --- th_alloc.c
// What a refused request is put down to when no line of a script was running: the text that was compiled.
void th_note_source(lua_State *L, const char *chunk);

// --- th_source.c
// Compiles text, as luaL_loadbufferx in mode "t", but ends with the attempt, and refuses what would take the parser long.
// Returns Lua's status and leaves the function or the message. Raises the attempt's end. [-0, +1]
int th_load_text(lua_State *L, const char *text, size_t length, const char *chunk);

// --- th_traceback.c
// Pushes a traceback of `of` from a level on, behind `message` if there is one. As luaL_traceback, in time that does
// not depend on what is skipped but for one look at each frame. May raise (memory).
void th_traceback(lua_State *L, lua_State *of, const char *message, int level);

// The level of the running function's callers that a script calls `level`: it does not count guards (th_freeze.c).
int th_level(lua_State *L, int level);

// The frame that called this one. Frames are linked by the third pointer of a CallInfo (lstate.h), which the API does
// not show; whoever walks them compares the first levels with those of the API, or has a selftest.
struct CallInfo *th_caller(const struct CallInfo *frame);

// --- th_freeze.c
// Call with every error that is caught. When the run is on kept chunks and the error tells of a limit that it may have
// met only for that, the run is given up, to run anew: noted (does not raise), or raised as the attempt's end.
void th_note_limit(lua_State *L, int index);
void th_check_limit(lua_State *L, int index);

// --- th_modes.c
void th_push_weak_table(lua_State *L);      // a table of our own with weak keys. May raise. [-0, +1]

// --- th_guards.c
enum th_guard { TH_GUARD_STACKS = 1, TH_GUARD_HANDLER = 2, TH_GUARD_CODE = 4, TH_GUARD_NAMES = 8 };
int th_guards(void);                   // which this Lua needs

// --- th_stacks.c
// Makes sure that as many values fit on an empty stack as the trigger's runs were seen to need. Does not raise.
void th_make_room(lua_State *L, int is_main);

// --- th_code.c
// Puts right what is wrong in the code of the Lua function that was just compiled and is on top. 0: it cannot be, and
// a text that says so is there in its place. May raise (memory).
int th_mend_code(lua_State *L);

// --- th_handler.c
void th_handler_forget(lua_State *co);  // before a coroutine is closed. Does not raise.

// --- th_base.c, th_string.c, th_table.c, th_math.c, th_os.c: each pushes nothing and sets globals or
// library tables into the table on top of the stack (the sandbox's global table).
void th_open_base(lua_State *L);       // assert error getmetatable ipairs load next pairs pcall print rawequal rawget rawlen rawset select setmetatable tonumber tostring type xpcall _VERSION, null, array
void th_open_coroutine(lua_State *L);
void th_open_string(lua_State *L);     // string, utf8, and the metatable of strings
int th_is_constant_closure(lua_CFunction f);  // true for the library's closures that never change an upvalue
void th_open_table(lua_State *L);
void th_open_math(lua_State *L);
void th_open_os(lua_State *L);         // time date clock difftime, from worker->clock_ns, UTC

// tostring without addresses; pushes the text. Honours __tostring and __name. May raise. [-0, +1]
const char *th_tostring(lua_State *L, int index, size_t *length);
// What print and ctx:log show: as th_tostring, but the content of a table. [-0, +1]
const char *th_shown(lua_State *L, int index, size_t *length);
void th_seed(th_worker *w, uint64_t seed);   // math.random

// --- th_codec.c
// Appends the canonical encoding (RFC 8949, 4.2.1) of the value at index. Raises a Lua error that names
// the path inside the value ("value.items[3]: a function cannot be stored") when it cannot be stored.
void th_encode(lua_State *L, int index, th_output *output, const th_limits *limits);
// Pushes the decoded value. Raises on malformed bytes or memory.
void th_decode(lua_State *L, const uint8_t *bytes, size_t length);
// Marks the table at index as array (decoded arrays and array{} carry the mark).
void th_mark_array(lua_State *L, int index);
int th_is_array(lua_State *L, int index);
#define th_push_null(L) lua_pushlightuserdata((L), NULL)

// --- th_tree.c
// When the table at index is frozen (a loaded module's, kept between executions) pushes the table that
// holds its content and returns 1; else pushes nothing and returns 0. Everything that looks at a table
// raw (next, pairs, rawget, rawlen, table.*) looks at the content instead; a raw write to a frozen table
// calls th_frozen_write.
int th_frozen_content(lua_State *L, int index);
// Called for a write to a frozen table. Marks the trigger as one whose chunk must run anew for each
// execution and abandons this run (th_run then runs it again in that mode). Does not return.
int th_frozen_write(lua_State *L);
// The metatable of the value at index as a script may see it: pushes it and returns 1, or pushes
// nothing and returns 0. The mark of arrays is not shown; a frozen table shows the metatable it had.
// `__metatable` is the caller's business. setmetatable is the other half: a frozen table given as
// metatable is attached by its content, so that the VM finds the metamethods raw.
int th_shown_metatable(lua_State *L, int index);

#endif
