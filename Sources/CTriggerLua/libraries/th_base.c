// The basic functions of the sandbox: an allow-list. What could differ between runs (order of keys,
// addresses) or swallow the end of an attempt (pcall) is written here; the harmless rest is Lua's own.
#include "libraries/th_libraries.h"
#include <lualib.h>
#include <string.h>

static int base_tostring(lua_State *L) {
  luaL_checkany(L, 1);
  th_tostring(L, 1, NULL);
  return 1;
}

// --- raw access and metatables -------------------------------------------------------------------

static int base_rawget(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  if (th_frozen_content(L, 1)) lua_replace(L, 1);
  lua_rawget(L, 1);
  return 1;
}

static int base_rawlen(lua_State *L) {
  luaL_argexpected(L, lua_istable(L, 1) || lua_isstring(L, 1), 1, "table or string");
  lua_settop(L, 1);
  if (lua_istable(L, 1) && th_frozen_content(L, 1)) lua_replace(L, 1);
  lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
  return 1;
}

static int base_rawset(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  if (th_frozen_content(L, 1)) return th_frozen_write(L);
  lua_rawset(L, 1);
  return 1;
}

static int base_getmetatable(lua_State *L) {
  luaL_checkany(L, 1);
  if (lua_type(L, 1) == LUA_TSTRING) { lua_pushboolean(L, 0); return 1; }
  if (!th_shown_metatable(L, 1)) { lua_pushnil(L); return 1; }
  int content = th_frozen_content(L, -1);  // a metatable that is kept is empty itself
  lua_pushliteral(L, "__metatable");
  if (lua_rawget(L, -2) == LUA_TNIL) lua_pop(L, 1 + content);
  return 1;
}

static int base_setmetatable(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
  lua_settop(L, 2);
  if (th_frozen_content(L, 1)) return th_frozen_write(L);
  if (th_shown_metatable(L, 1)) {
    lua_pushliteral(L, "__metatable");
    if (lua_rawget(L, -2) != LUA_TNIL) return luaL_error(L, "cannot change a protected metatable");
  }
  lua_settop(L, 2);
  if (lua_istable(L, 2)) {
    if (th_frozen_content(L, 2)) lua_replace(L, 2);
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL)
      return luaL_error(L, "__gc is not available: nothing of an execution outlives it");
    lua_pop(L, 1);
  }
  lua_setmetatable(L, 1);
  return 1;
}

// --- protected calls ----------------------------------------------------------------------------

// A protected call came back: when the attempt is to end, it ends, whatever the script wanted to catch.
static int finish_pcall(lua_State *L, int status, lua_KContext results_from) {
  if (status != LUA_OK && status != LUA_YIELD) {
    if (th_ending(th_worker_of(L))) return th_raise_end(L);
    th_check_limit(L, -1);
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
  }
  return lua_gettop(L) - (int)results_from;
}

// The call yielded since. The chunks that ran when it began may be others now: those inside of the last resume are left.
static int continue_pcall(lua_State *L, int status, lua_KContext results_from) {
  th_worker *w = th_worker_of(L);
  if (status != LUA_OK && status != LUA_YIELD) th_chunks_unwind(w, w->chunks_outside);
  return finish_pcall(L, status, results_from);
}

static int protected_call(lua_State *L, int arguments, int handler) {
  th_worker *w = th_worker_of(L);
  int chunks = w->chunks;
  int status = lua_pcallk(L, arguments, LUA_MULTRET, handler, handler, continue_pcall);
  if (status != LUA_OK) th_chunks_unwind(w, chunks);
  return finish_pcall(L, status, handler);
}

// As Lua's own, but for the guards among the levels.
static int base_error(lua_State *L) {
  int level = (int)luaL_optinteger(L, 2, 1);
  lua_settop(L, 1);
  if (lua_type(L, 1) == LUA_TSTRING && level > 0) {
    luaL_where(L, th_level(L, level));
    lua_insert(L, 1);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int base_pcall(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return protected_call(L, lua_gettop(L) - 2, 0);
}

// The end of an attempt is raised inside a hook, where hooks are off: a handler in Lua could then loop
// without end. So it is not called at all. Upvalue: the script's handler.
static int call_handler(lua_State *L) {
  th_note_limit(L, 1);
  if (th_ending(th_worker_of(L))) return 1;
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static int base_xpcall(lua_State *L) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  int arguments = lua_gettop(L) - 2;
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, call_handler, 1);
  lua_replace(L, 2);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2);
  return protected_call(L, arguments, 2);
}

// --- load ---------------------------------------------------------------------------------------

// A script may call its text whatever it likes, and a text without a name is its own. With a sign before it ("@rsi.lua"), it would look like a file of
// that name in errors, tracebacks and the places of log lines: it is marked as what it is, [load "rsi.lua"].
static const char *chunk_name(lua_State *L, const char *name) {
  TH_EFFECT(L, 1);
  enum { SHOWN = 40 };
  if (*name != '@' && *name != '=') { lua_pushstring(L, name); return name; }
  size_t length = strlen(++name), n = th_cut(name, length, SHOWN);
  char shown[SHOWN + 1];
  for (size_t i = 0; i < n; i++) shown[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
  shown[n] = 0;
  return lua_pushfstring(L, "=[load \"%s%s\"]", shown, n < length ? "..." : "");
}

// Text only: crafted bytecode can crash the machine. The environment is the sandbox's, or the fourth
// argument.
static int base_load(lua_State *L) {
  lua_settop(L, 4);
  if (lua_isfunction(L, 1)) {
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    for (;;) {
      th_check(L);
      lua_pushvalue(L, 1);
      lua_call(L, 0, 1);
      if (lua_isnil(L, -1) || (lua_isstring(L, -1) && lua_rawlen(L, -1) == 0)) break;
      if (!lua_isstring(L, -1)) return luaL_error(L, "reader function must return a string");
      luaL_addvalue(&text);
    }
    lua_pop(L, 1);
    luaL_pushresult(&text);
    lua_replace(L, 1);
  }
  size_t length;
  const char *chunk = luaL_checklstring(L, 1, &length);
  const char *name = chunk_name(L, luaL_optstring(L, 2, chunk));
  if (th_load_text(L, chunk, length, name) != LUA_OK || !th_mend_code(L)) {
    th_check_limit(L, -1);
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (!lua_isnil(L, 4)) {
    lua_pushvalue(L, 4);
    lua_setupvalue(L, -2, 1);
  }
  return 1;
}

// array{...}: the same table, marked so that it is an array even when empty.
static int base_array(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  th_mark_array(L, 1);
  return 1;
}

void th_open_base(lua_State *L) {
  TH_EFFECT(L, 0);
  static const char *const harmless[] = {
    "assert", "ipairs", "rawequal", "select", "tonumber", "type", NULL};
  static const luaL_Reg own[] = {
    {"tostring", base_tostring}, {"pairs", th_pairs}, {"next", th_next}, {"rawget", base_rawget},
    {"rawlen", base_rawlen}, {"rawset", base_rawset}, {"getmetatable", base_getmetatable},
    {"setmetatable", base_setmetatable}, {"error", base_error}, {"pcall", base_pcall}, {"xpcall", base_xpcall},
    {"load", base_load}, {"array", base_array}, {NULL, NULL}};
  int globals = lua_gettop(L);
  // luaopen_base writes into the registry's globals; take what is wanted from a throw-away table.
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_newtable(L);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushcfunction(L, luaopen_base);
  lua_call(L, 0, 1);
  for (const char *const *name = harmless; *name; name++) {
    lua_getfield(L, -1, *name);
    lua_setfield(L, globals, *name);
  }
  lua_pop(L, 1);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  luaL_setfuncs(L, own, 0);
  lua_pushliteral(L, "Lua 5.4");
  lua_setfield(L, globals, "_VERSION");
  th_push_null(L);
  lua_setfield(L, globals, "null");
}
