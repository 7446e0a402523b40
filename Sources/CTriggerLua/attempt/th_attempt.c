// An attempt: a body run under pcall with limits, again where its run was given up.
#include <string.h>
#include "attempt/th_attempt.h"

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
  if (!w->abandoned) th_take_error(w, L);
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

// Emptying a table by assigning nil to existing fields cannot raise.
static void forget_passing_stores(th_worker *w) {
  struct th_runner *r = w->runner;
  if (__builtin_expect(!r->passing_used, 1)) return;
  lua_State *L = w->main;
  th_get_ref(L, r->passing_ref);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
  lua_pop(L, 1);
  r->passing_used = 0;
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
  forget_passing_stores(w);
  th_alloc_sweep(w);
  return status;
}
