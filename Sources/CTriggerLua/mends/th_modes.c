// `__mode` and `__gc` mean nothing to Lua here: they are names like any other, in whatever metatable, set whenever.
//
// A weak table would lose its entries at a collection, and when that comes depends on all that ran on the worker before.
// A finalizer would run inside of one, with hooks off. A metatable can get either field after it was attached, so that
// taking it out there is not enough, and taking it out later changes what a script sees. So Lua itself is made to look
// for other names: the names of all events stand in its global state, each a pointer to a string (lstate.h, tmname), and
// these two are replaced by names that no script can know. The collector and lua_setmetatable look nowhere else.
//
// Where the pointers are is found by looking: the names of the first events lie in a row in the block that the global
// state lies in, and nowhere else in it. `works` tries whether it worked.
#include <string.h>
#include <unistd.h>
#include "mends/th_mends.h"

static const char *const events[] = {"__index", "__newindex", "__gc", "__mode", "__len", "__eq"};
enum { EVENTS = sizeof events / sizeof *events, GC = 2, MODE = 3 };

static const char mode_key, gc_key;  // registry: the names that Lua looks for instead

// Where the global state has its pointers to the names of events; NULL where that is not known.
static char *find_names(lua_State *L) {
  TH_EFFECT(L, 0);
  size_t bytes;
  char *state = th_alloc_state(th_worker_of(L), &bytes), *found = NULL;
  const void *names[EVENTS];
  for (int i = 0; i < EVENTS; i++) {
    lua_pushlstring(L, events[i], strlen(events[i]));
    names[i] = lua_topointer(L, -1);
    lua_pop(L, 1);
  }
  for (size_t at = 0; at + sizeof names <= bytes; at += sizeof *names) {
    if (memcmp(state + at, names, sizeof names) != 0) continue;
    if (found) return NULL;
    found = state + at;
  }
  return found;
}

// Lua looks for a name that no script knows in place of the event's.
static int take_name(lua_State *L, char *names, int event, const char *key) {
  TH_EFFECT(L, 0);
  char secret[16];
  if (getentropy(secret, sizeof secret) != 0) return 0;
  lua_pushlstring(L, secret, sizeof secret);
  const void *instead = lua_topointer(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);  // so it stays
  memcpy(names + (size_t)event * sizeof instead, &instead, sizeof instead);
  return 1;
}

// The buffers of luaL_Buffer are freed by a finalizer where nobody closes them, as in a coroutine that an attempt's end
// has left. They are Lua's own, and keep theirs.
static int keep_buffers(lua_State *L) {
  TH_EFFECT(L, 0);
  luaL_Buffer b;
  luaL_buffinitsize(L, &b, 2 * LUAL_BUFFERSIZE);  // the first one makes the metatable
  luaL_pushresultsize(&b, 0);
  int known = luaL_getmetatable(L, "_UBOX*") == LUA_TTABLE;
  if (known) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &gc_key);
    known = lua_getfield(L, -2, "__gc") == LUA_TFUNCTION;
    lua_rawset(L, -3);
  }
  lua_pop(L, 2);
  return known;
}

// A table of each kind keeps what it has, and one of ours does not.
static int works(lua_State *L) {
  TH_EFFECT(L, 0);
  int top = lua_gettop(L), kept;
  lua_newtable(L);
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "kv");
  lua_setfield(L, -2, "__mode");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, top + 1);
  th_push_weak_table(L);
  for (int table = top + 1; table <= top + 2; table++) {
    lua_newtable(L);
    lua_pushboolean(L, 1);
    lua_rawset(L, table);
  }
  lua_gc(L, LUA_GCCOLLECT);
  lua_pushnil(L);
  kept = lua_next(L, top + 1);
  lua_settop(L, top + 2);
  lua_pushnil(L);
  int lost = !lua_next(L, top + 2);
  lua_settop(L, top);
  return kept && lost;
}

void th_open_modes(lua_State *L) {
  TH_EFFECT(L, 0);
  char *names = find_names(L);
  if (!names || !take_name(L, names, MODE, &mode_key) || !take_name(L, names, GC, &gc_key) || !keep_buffers(L) ||
      !works(L))
    luaL_error(L, "weak tables and finalizers cannot be switched off in this library of %s", th_lua_release());
}

void th_push_weak_table(lua_State *L) {
  TH_EFFECT(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &mode_key);
  lua_pushliteral(L, "k");
  lua_rawset(L, -3);
  lua_setmetatable(L, -2);
}
