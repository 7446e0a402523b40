// Store objects: userdata with a metatable of their own, whose __index holds the methods and the name, so
// that the VM finds store:get without a call into C. Objects are cached by name: for the worker's life
// when the host says so, else until the attempt ends.
#include <stdlib.h>
#include <string.h>
#include "api/th_api.h"

typedef struct store_object { uint64_t magic; void *handle; } store_object;
static const uint64_t store_magic = 0x746873746f7265u;

static void *check_store(lua_State *L, const char *method) {
  if (lua_type(L, 1) == LUA_TUSERDATA && lua_rawlen(L, 1) == sizeof(store_object)) {
    store_object *s = lua_touserdata(L, 1);
    if (s->magic == store_magic && th_worker_of(L)->info) return s->handle;
  }
  luaL_error(L, "call it with a colon: store:%s(...)", method);
  return NULL;
}

// --- reading

static int store_get(lua_State *L) {
  void *store = check_store(L, "get");
  size_t key_length, length;
  const char *key = th_check_key(L, 2, &key_length, "store:get: the key");
  th_worker *w = th_worker_of(L);
  const uint8_t *bytes = w->host.get(w->attempt, store, key, key_length, &length);
  th_check_held(L);
  if (bytes) th_decode(L, bytes, length); else lua_pushnil(L);
  return 1;
}

static const char *optional_prefix(lua_State *L, int index, size_t *length) {
  if (lua_isnoneornil(L, index)) { *length = 0; return ""; }
  if (lua_type(L, index) != LUA_TSTRING)
    luaL_error(L, "the prefix must be a string, not %s", luaL_typename(L, index));
  return lua_tolstring(L, index, length);
}

// upvalues: cursor, entries still allowed
static int scan_step(lua_State *L) {
  th_worker *w = th_worker_of(L);
  lua_Integer left = lua_tointeger(L, lua_upvalueindex(2));
  if (left <= 0) return 0;
  lua_pushinteger(L, left - 1);
  lua_replace(L, lua_upvalueindex(2));
  const char *key; const uint8_t *value;
  size_t key_length, value_length;
  if (!w->host.scan_next(lua_touserdata(L, lua_upvalueindex(1)), &key, &key_length, &value, &value_length)) {
    lua_pushinteger(L, 0);
    lua_replace(L, lua_upvalueindex(2));
    return 0;
  }
  lua_pushlstring(L, key, key_length);
  th_decode(L, value, value_length);
  return 2;
}

static int store_scan(lua_State *L) {
  void *store = check_store(L, "scan");
  th_worker *w = th_worker_of(L);
  size_t length;
  const char *prefix = optional_prefix(L, 2, &length);
  lua_Integer limit = luaL_optinteger(L, 3, LUA_MAXINTEGER);
  lua_pushlightuserdata(L, w->host.scan_begin(w->attempt, store, prefix, length));
  th_check_held(L);
  lua_pushinteger(L, limit);
  lua_pushcclosure(L, scan_step, 2);
  return 1;
}

static int store_keys(lua_State *L) {
  void *store = check_store(L, "keys");
  th_worker *w = th_worker_of(L);
  size_t length;
  const char *prefix = optional_prefix(L, 2, &length);
  void *cursor = w->host.scan_begin(w->attempt, store, prefix, length);
  th_check_held(L);
  const char *key; const uint8_t *value;
  size_t key_length, value_length;
  lua_newtable(L);
  for (lua_Integer i = 1; w->host.scan_next(cursor, &key, &key_length, &value, &value_length); i++) {
    th_check(L);
    lua_pushlstring(L, key, key_length);
    lua_rawseti(L, -2, i);
  }
  th_mark_array(L, -1);
  return 1;
}

static int store_count(lua_State *L) {
  void *store = check_store(L, "count");
  th_worker *w = th_worker_of(L);
  size_t length;
  const char *prefix = optional_prefix(L, 2, &length);
  lua_pushinteger(L, w->host.count(w->attempt, store, prefix, length));
  th_check_held(L);
  return 1;
}

// --- whole store

static void remember_version(lua_State *L, void *store, int64_t seq) {
  struct th_runner *r = th_worker_of(L)->runner;
  for (uint32_t i = 0; i < r->seen_length; i++) if (r->seen[i].store == store && r->seen[i].seq == seq) return;
  if (r->seen_length == r->seen_capacity) {
    uint32_t capacity = r->seen_capacity ? r->seen_capacity * 2 : 8;
    th_seen_version *seen = realloc(r->seen, capacity * sizeof *seen);
    if (!seen) { luaL_error(L, "not enough memory"); return; }
    r->seen = seen;
    r->seen_capacity = capacity;
  }
  r->seen[r->seen_length++] = (th_seen_version){store, seq};
}

static int store_read_snapshot(lua_State *L) {
  void *store = check_store(L, "read_snapshot");
  th_worker *w = th_worker_of(L);
  int64_t seq = w->host.version(w->attempt, store);
  remember_version(L, store, seq);
  lua_pushinteger(L, seq);
  lua_newtable(L);
  void *cursor = w->host.scan_begin(w->attempt, store, "", 0);
  th_check_held(L);
  const char *key; const uint8_t *value;
  size_t key_length, value_length;
  while (w->host.scan_next(cursor, &key, &key_length, &value, &value_length)) {
    th_check(L);
    lua_pushlstring(L, key, key_length);
    th_decode(L, value, value_length);
    lua_rawset(L, -3);
  }
  return 2;
}

// The data's keys become keys of the store, so each is checked; the encoder checks the rest.
static void check_data(lua_State *L, int data) {
  TH_EFFECT(L, 0);
  int top = lua_gettop(L);
  if (th_frozen_content(L, data)) data = top + 1;
  lua_pushnil(L);
  while (lua_next(L, data)) {
    size_t length;
    lua_pop(L, 1);
    th_check_key(L, -1, &length, "store:prepare_commit: each key of data");
  }
  if (th_is_array(L, data)) luaL_error(L, "store:prepare_commit: data must be a table by key, not an array");
  lua_settop(L, top);
}

static int store_prepare_commit(lua_State *L) {
  void *store = check_store(L, "prepare_commit");
  th_worker *w = th_worker_of(L);
  lua_Integer seq = luaL_checkinteger(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  uint32_t i = 0;
  while (i < w->runner->seen_length && (w->runner->seen[i].store != store || w->runner->seen[i].seq != seq)) i++;
  if (i == w->runner->seen_length)
    return luaL_error(L, "store:prepare_commit: seq %I was not read from this store in this execution (read_snapshot gives it)",
                      (LUAI_UACINT)seq);
  check_data(L, 3);
  th_prepare(L, TH_REPLACE, store, "", 0)->base = seq;
  th_encode_named(L, 3, w->output, w->limits, "data");
  return th_prepared(L);
}

// --- preparing changes

static int prepare(lua_State *L, int kind, const char *method, const char *what) {
  void *store = check_store(L, method);
  th_worker *w = th_worker_of(L);
  size_t length;
  const char *key = th_check_key(L, 2, &length, what);
  if (kind == TH_PUT || kind == TH_APPEND) {
    if (lua_isnone(L, 3) || (kind == TH_APPEND && lua_isnil(L, 3)))
      return luaL_error(L, "store:%s: a value is missing%s", method, kind == TH_PUT ? " (nil deletes the key)" : "");
    if (lua_isnil(L, 3)) kind = TH_DELETE;
  } else if (kind == TH_APPEND_TEXT) {
    if (lua_type(L, 3) != LUA_TSTRING)
      return luaL_error(L, "store:%s: a string is needed, not %s", method, luaL_typename(L, 3));
  } else if (kind != TH_DELETE && lua_type(L, 3) != LUA_TNUMBER) {
    return luaL_error(L, "store:%s: a number is needed, not %s", method, luaL_typename(L, 3));
  }
  th_prepare(L, kind, store, key, length);
  if (kind != TH_DELETE) th_encode(L, 3, w->output, w->limits);
  return th_prepared(L);
}

static int store_put(lua_State *L) { return prepare(L, TH_PUT, "put", "store:put: the key"); }
static int store_delete(lua_State *L) { return prepare(L, TH_DELETE, "delete", "store:delete: the key"); }
static int store_add(lua_State *L) { return prepare(L, TH_ADD, "add", "store:add: the key"); }
static int store_max(lua_State *L) { return prepare(L, TH_MAX, "max", "store:max: the key"); }
static int store_min(lua_State *L) { return prepare(L, TH_MIN, "min", "store:min: the key"); }
static int store_append(lua_State *L) { return prepare(L, TH_APPEND, "append", "store:append: the key"); }
static int store_append_text(lua_State *L) {
  return prepare(L, TH_APPEND_TEXT, "append_text", "store:append_text: the key");
}

// --- objects

static const luaL_Reg methods[] = {
  {"get", store_get}, {"scan", store_scan}, {"keys", store_keys}, {"count", store_count},
  {"put", store_put}, {"delete", store_delete}, {"add", store_add}, {"max", store_max},
  {"min", store_min}, {"append", store_append}, {"append_text", store_append_text},
  {"read_snapshot", store_read_snapshot},
  {"prepare_commit", store_prepare_commit}, {NULL, NULL},
};

static int store_tostring(lua_State *L) {
  lua_pushliteral(L, "store ");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_concat(L, 2);
  return 1;
}

static int read_only(lua_State *L) {
  return luaL_error(L, "a %s cannot be changed", lua_tostring(L, lua_upvalueindex(1)));
}

// The name is at stack index 2.
void th_push_store_methods(lua_State *L) {
  TH_EFFECT(L, 1);
  luaL_newlibtable(L, methods);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "name");
}

// pairs(store) and #store would look at the object, not at what the store holds.
static int use_scan(lua_State *L) {
  return luaL_error(L, "pairs does not work on a store: use store:scan(prefix) or store:keys(prefix)");
}
static int use_count(lua_State *L) { return luaL_error(L, "# does not work on a store: use store:count(prefix)"); }

// The name is at stack index 2. Pushes a new object.
static void push_object(lua_State *L, void *handle) {
  TH_EFFECT(L, 1);
  store_object *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (store_object){store_magic, handle};
  lua_createtable(L, 0, 7);
  th_push_store_methods(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "th_store_methods");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, store_tostring, 1);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "store");
  lua_pushcclosure(L, read_only, 1);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, use_scan);
  lua_setfield(L, -2, "__pairs");
  lua_pushcfunction(L, use_count);
  lua_setfield(L, -2, "__len");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushliteral(L, "store");
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
}

// upvalue 1: the permanent objects by name. (ctx, name)
int th_ctx_store(lua_State *L) {
  lua_settop(L, 2);
  if (lua_type(L, 1) != LUA_TUSERDATA) return luaL_error(L, "call it with a colon: ctx:store(name)");
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TUSERDATA) return 1;
  th_worker *w = th_worker_of(L);
  struct th_runner *r = w->runner;
  size_t length;
  const char *name = th_check_key(L, 2, &length, "ctx:store: the name");
  th_get_ref(L, r->passing_ref);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) == LUA_TUSERDATA) return 1;
  int permanent = 0;
  const char *refused = "no such store";
  void *handle = w->host.store(w->attempt, name, length, &permanent, &refused);
  if (!handle) return luaL_error(L, "store '%s': %s", name, refused);
  push_object(L, handle);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  if (!permanent) r->passing_used = 1;
  lua_rawset(L, permanent ? lua_upvalueindex(1) : 4);
  return 1;
}

void th_push_store_name(lua_State *L, const void *handle) {
  TH_EFFECT(L, 1);
  struct th_runner *r = th_worker_of(L)->runner;
  for (int passing = 0; passing < 2; passing++) {
    th_get_ref(L, passing ? r->passing_ref : r->stores_ref);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      store_object *s = lua_touserdata(L, -1);
      lua_pop(L, 1);
      if (s->handle == handle) { lua_remove(L, -2); return; }
    }
    lua_pop(L, 1);
  }
  lua_pushliteral(L, "?");
}

void th_open_stores(lua_State *L) {
  TH_EFFECT(L, 0);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "store");
  lua_pushcclosure(L, th_unknown_field, 1);
  lua_setfield(L, -2, "__index");
  lua_setfield(L, LUA_REGISTRYINDEX, "th_store_methods");
}
