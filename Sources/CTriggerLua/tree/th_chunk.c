// Script and module chunks that are running: what they see as clock, chance and tree, and the way back.
//
// What runs now is a list of the worker's own, in plain memory. Every place that catches an error puts it back to what
// it was there (th_chunks_unwind): pcall and xpcall, resume and close of a coroutine, the attempt itself. A chunk that
// fails inside a coroutine is left by nobody else, since lua_resume leaves the coroutine's stack as it is. A __close
// beside that does the same a little earlier, before the __close of scripts further out run; where it is not called
// (no memory, no C stack) or called much later (coroutine.close), nothing is missed and nothing is undone twice: it
// knows its chunk by a number that no other has.
#include <stdlib.h>
#include <string.h>
#include "tree/th_tree.h"

static const char closer_name[] = "th_loading";  // metatable in the registry

static uint64_t seed_of(const th_tree *tree, const char *path) {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (; *path; path++) hash = (hash ^ (uint8_t)*path) * 0x100000001b3u;
  return hash ^ tree->seed;
}

// (closer): ends its chunk, and those inside of it, if it is still running.
static int close_chunk(lua_State *L) {
  const uint64_t *number = lua_touserdata(L, 1);
  th_worker *w = th_worker_of(L);
  int depth = w->chunks;
  for (th_loading *l = w->runner->loading; l; l = l->up, depth--) {
    if (l->number != *number) continue;
    th_chunks_unwind(w, depth - 1);
    break;
  }
  return 0;
}

static void begin_chunk(lua_State *L, th_tree *tree, const char *path, uint64_t number) {
  th_worker *w = th_worker_of(L);
  struct th_runner *r = w->runner;
  size_t length = strlen(path);
  th_loading *l = malloc(sizeof *l + length + 1);
  if (!l) { luaL_error(L, "not enough memory"); return; }
  l->up = r->loading;
  l->number = number;
  l->clock_ns = w->clock_ns;
  l->tree = w->tree;
  l->looked = w->looked;
  memcpy(l->random, w->random, sizeof w->random);
  memcpy(l->path, path, length + 1);
  r->loading = l;
  w->chunks++;
  w->clock_ns = tree->commit_time_ns;
  w->tree = tree;
  w->looked = 0;
  l->origin = th_alloc_set_origin(w, th_origin_of(w, path));
  th_seed(w, seed_of(tree, path));
}

static void refuse_cycle(lua_State *L, const char *path) {
  th_loading *chain[64];
  int n = 0;
  for (th_loading *l = th_worker_of(L)->runner->loading; l && n < 64; l = l->up) {
    chain[n++] = l;
    if (strcmp(l->path, path) == 0) break;
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  while (n--) {
    luaL_addstring(&b, chain[n]->path);
    luaL_addstring(&b, " -> ");
  }
  luaL_addstring(&b, path);
  luaL_pushresult(&b);
  luaL_error(L, "module cycle: %s", lua_tostring(L, -1));
}

void th_run_chunk(lua_State *L, th_tree *tree, const char *path, const char *name) {
  TH_EFFECT(L, 0);
  th_worker *w = th_worker_of(L);
  struct th_runner *r = w->runner;
  for (th_loading *l = r->loading; l; l = l->up) if (strcmp(l->path, path) == 0) refuse_cycle(L, path);
  luaL_checkstack(L, 8, NULL);
  uint64_t *number = lua_newuserdatauv(L, sizeof *number, 0);
  *number = ++r->chunk_numbers;
  luaL_setmetatable(L, closer_name);
  int closer = lua_gettop(L);
  lua_toclose(L, closer);
  begin_chunk(L, tree, path, *number);
  lua_pushvalue(L, closer - 1);
  lua_pushstring(L, name);
  lua_pushstring(L, path);
  lua_call(L, 2, 1);
  if (w->looked && !r->fresh) th_mark_bound(L, tree, path);
  lua_closeslot(L, closer);
  lua_replace(L, closer - 1);
  lua_settop(L, closer - 1);
}

void th_open_loading(lua_State *L) {
  luaL_newmetatable(L, closer_name);
  lua_pushcfunction(L, close_chunk);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
}
