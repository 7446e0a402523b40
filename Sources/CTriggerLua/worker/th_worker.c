// A worker's life: its Lua state with the sandbox in it.
#include <stdio.h>
#include <stdlib.h>
#include "api/th_api.h"

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

th_worker *th_worker_new(const th_host *host) {
  static const th_limits limits = {SIZE_MAX, SIZE_MAX, 0, 0, 0};
  th_worker *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->host = *host;
  atomic_store(&w->kill_number, UINT64_MAX);  // never an attempt's number
  w->runner = calloc(1, sizeof *w->runner);
  w->error = calloc(1, TH_ERROR_BYTES);
  w->alloc = th_alloc_new(w);
  if (w->runner && w->error && w->alloc) w->main = lua_newstate(th_allocate, w->alloc);
  if (!w->main) { th_worker_free(w); return NULL; }
  *(th_worker **)lua_getextraspace(w->main) = w;
  w->running = w->main;
  lua_atpanic(w->main, panic);
  lua_gc(w->main, LUA_GCSTOP);
  lua_pushcfunction(w->main, th_describe);
  if (th_protected(w, open_body, NULL, &limits) == TH_OK) return w;
  th_worker_free(w);
  return NULL;
}

// The caller has stopped every thread that may call th_worker_kill on this worker.
void th_worker_free(th_worker *w) {
  if (!w) return;
  th_worker_unbind(w);
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
