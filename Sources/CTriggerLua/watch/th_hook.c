// The hook of a run: where an attempt ends, collects, notices that a stack has moved, and is traced.
//
// Nothing is hooked otherwise: a set hook slows every instruction.
#include "watch/th_watch.h"

static const char end_marker;

// Setting a hook marks every frame of the coroutine (ldebug.c, settraps), so it is done once: signals that come
// while half a million frames are marked, or faster than that goes, would leave the script no time to end.
void th_set_end_hook(lua_State *L) {
  if (lua_gethook(L) == th_end_hook && lua_gethookmask(L) & LUA_MASKCOUNT) return;
  lua_sethook(L, th_end_hook, LUA_MASKCOUNT, 1);
}

// Only what was running was hooked so far. What runs on the way out (__close) is as much to end.
int th_raise_end(lua_State *L) {
  th_set_end_hook(L);
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
