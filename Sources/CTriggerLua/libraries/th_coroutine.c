// Coroutines that a script makes. The worker knows which one is running (its hook ends the attempt), and the
// attempt's end passes through resume, wrap and close instead of becoming a value.
#include "libraries/th_libraries.h"

// Of 8 MiB at least; between two closes Lua itself allows for about 2 MiB.
static const size_t CLOSE_STACK_MOST = 4u << 20;

static lua_State *coroutine_argument(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

// What is put back when a coroutine comes back, however it does.
typedef struct outside { int chunks, chunks_outside; } outside;

// The signal handler hooks `running`. An end asked for just before the assignment hooked another
// coroutine, hence the test after it.
static outside enter(th_worker *w, lua_State *co) {
  outside before = {w->chunks, w->chunks_outside};
  w->chunks_outside = w->chunks;
  w->running = co;
  atomic_signal_fence(memory_order_seq_cst);
  if (th_ending(w)) lua_sethook(co, th_end_hook, LUA_MASKCOUNT, 1);
  return before;
}

static void leave(lua_State *L, th_worker *w, outside before) {
  th_chunks_unwind(w, before.chunks);
  w->chunks_outside = before.chunks_outside;
  w->running = L;
  atomic_signal_fence(memory_order_seq_cst);
  if (__builtin_expect(th_ending(w), 0)) th_raise_end(L);
}

// A coroutine that an attempt's end has left from inside its hook has hooks off for good: nothing shows that in the
// API, and nothing resets it. Its pending __close must never run, neither in this attempt (th_check before each) nor in
// a later one that still has the coroutine (a session's). The lowest bit of its pointer to the worker says so; no other
// code runs in it any more.
static int is_lost(lua_State *co) { return (int)(*(uintptr_t *)lua_getextraspace(co) & 1); }
static void lose(lua_State *co) { *(uintptr_t *)lua_getextraspace(co) |= 1; }

// Returns the number of results, on top of L's stack; or -1 with the error there. [-arguments, +(results|1)]
static int resume(lua_State *L, lua_State *co, int arguments) {
  th_worker *w = th_worker_of(L);
  int results;
  if (!lua_checkstack(co, arguments)) {
    lua_pushliteral(L, "too many arguments to resume");
    return -1;
  }
  th_check(L);
  lua_xmove(L, co, arguments);
  outside before = enter(w, co);
  int status = lua_resume(co, L, arguments, &results);
  if (__builtin_expect(status != LUA_OK && status != LUA_YIELD && th_ending(w), 0)) lose(co);
  leave(L, w, before);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    th_check_limit(L, -1);
    return -1;
  }
  if (!lua_checkstack(L, results + 1)) {
    lua_pop(co, results);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(co, L, results);
  return results;
}

static int co_resume(lua_State *L) {
  lua_State *co = coroutine_argument(L);
  int results = resume(L, co, lua_gettop(L) - 1);
  lua_pushboolean(L, results >= 0);
  if (results < 0) results = 1;
  lua_insert(L, -(results + 1));
  return results + 1;
}

// Runs pending __close of a coroutine that ended or is suspended. Its error, if any, is then on co's stack. [-0, +0]
//
// Lua 5.4.4 counts the C calls of a coroutine from where it was resumed, not from where it is closed
// (lua_resetthread knows no caller), so a chain of closes is bounded here: by the C stack itself.
static int close_thread(lua_State *L, lua_State *co) {
  TH_EFFECT(L, 0);
  th_worker *w = th_worker_of(L);
  if (w->stack_base - (uintptr_t)__builtin_frame_address(0) > CLOSE_STACK_MOST) return luaL_error(L, "C stack overflow");
  th_check(L);
  outside before = enter(w, co);
  th_handler_forget(co);
  int status = lua_resetthread(co);
  leave(L, w, before);
  return status;
}

static int step_of_wrap(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int results = resume(L, co, lua_gettop(L));
  if (results >= 0) return results;
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {  // it failed, rather than being dead or running already
    lua_pop(L, 1);
    status = close_thread(L, co);
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int co_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  th_make_room(co, 0);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int co_wrap(lua_State *L) {
  co_create(L);
  lua_pushcclosure(L, step_of_wrap, 1);
  return 1;
}

static int co_yield(lua_State *L) { return lua_yield(L, lua_gettop(L)); }

static const char *status_of(lua_State *L, lua_State *co) {
  if (L == co) return "running";
  switch (lua_status(co)) {
    case LUA_YIELD: return "suspended";
    case LUA_OK: {
      lua_Debug ar;
      if (lua_getstack(co, 0, &ar)) return "normal";
      return lua_gettop(co) == 0 ? "dead" : "suspended";
    }
    default: return "dead";
  }
}

static int co_status(lua_State *L) {
  lua_pushstring(L, status_of(L, coroutine_argument(L)));
  return 1;
}

static int co_isyieldable(lua_State *L) {
  lua_State *co = lua_isnone(L, 1) ? L : coroutine_argument(L);
  lua_pushboolean(L, lua_isyieldable(co));
  return 1;
}

static int co_running(lua_State *L) {
  lua_pushboolean(L, lua_pushthread(L));
  return 2;
}

static int co_close(lua_State *L) {
  lua_State *co = coroutine_argument(L);
  const char *status = status_of(L, co);
  if (*status != 's' && *status != 'd') return luaL_error(L, "cannot close a %s coroutine", status);
  if (is_lost(co)) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "the coroutine ended with its execution");
    return 2;
  }
  if (close_thread(L, co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  th_check_limit(L, -1);
  return 2;
}

void th_open_coroutine(lua_State *L) {
  TH_EFFECT(L, 0);
  static const luaL_Reg functions[] = {
    {"close", co_close}, {"create", co_create}, {"isyieldable", co_isyieldable}, {"resume", co_resume},
    {"running", co_running}, {"status", co_status}, {"wrap", co_wrap}, {"yield", co_yield}, {NULL, NULL},
  };
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "coroutine");
}
