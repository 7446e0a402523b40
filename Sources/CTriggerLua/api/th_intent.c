// Intents: prepared changes. In Lua an intent is a light userdata, its address made of index and tag, so
// that preparing one allocates nothing; NULL stays `null`. The change itself lies encoded in th_output.
#include <stdlib.h>
#include <string.h>
#include "api/th_api.h"

enum { TAG = 5, TAG_BITS = 3, LIST_DEPTH = 8, KEY_MOST = 1024 };

static int grow_intents(th_output *o) {
  uint32_t capacity = o->intents_capacity ? o->intents_capacity * 2 : 16;
  th_intent *intents = realloc(o->intents, capacity * sizeof *intents);
  if (!intents) return 0;
  o->intents = intents;
  o->intents_capacity = capacity;
  return 1;
}

const char *th_check_key(lua_State *L, int index, size_t *length, const char *what) {
  TH_EFFECT(L, 0);
  if (lua_type(L, index) != LUA_TSTRING)
    luaL_error(L, "%s must be a string, not %s", what, luaL_typename(L, index));
  const char *key = lua_tolstring(L, index, length);
  if (*length == 0 || *length > KEY_MOST)
    luaL_error(L, *length ? "%s is longer than %d bytes" : "%s must not be empty", what, KEY_MOST);
  if (!th_valid_utf8((const uint8_t *)key, *length)) luaL_error(L, "%s is not UTF-8 text", what);
  return key;
}

th_intent *th_prepare(lua_State *L, int kind, void *store, const char *key, size_t key_length) {
  TH_EFFECT(L, 0);
  th_worker *w = th_worker_of(L);
  th_output *o = w->output;
  if (!o) luaL_error(L, "intents can be prepared in execute only");
  if (o->intents_length >= w->limits->intents)
    luaL_error(L, "more than %I intents in one execution", (LUAI_UACINT)w->limits->intents);
  if (o->intents_length == o->intents_capacity && !grow_intents(o)) luaL_error(L, "not enough memory");
  // Drops what an intent that failed and was caught left behind.
  const th_intent *last = o->intents_length ? &o->intents[o->intents_length - 1] : NULL;
  o->bytes_length = last ? last->value_offset + last->value_length : 0;
  th_output_reserve(L, o, key_length);
  th_intent *intent = &o->intents[o->intents_length];
  *intent = (th_intent){.store = store, .key_offset = o->bytes_length, .key_length = (uint32_t)key_length,
                        .kind = (uint8_t)kind};
  memcpy(o->bytes + o->bytes_length, key, key_length);
  o->bytes_length += (uint32_t)key_length;
  intent->value_offset = o->bytes_length;
  return intent;
}

int th_prepared(lua_State *L) {
  TH_EFFECT(L, 1);
  th_worker *w = th_worker_of(L);
  th_output *o = w->output;
  th_intent *intent = &o->intents[o->intents_length];
  intent->value_length = o->bytes_length - intent->value_offset;
  if (o->bytes_length > w->limits->output_bytes)
    return luaL_error(L, "the intents of one execution take more than %I bytes", (LUAI_UACINT)w->limits->output_bytes);
  uintptr_t index = o->intents_length++;
  lua_pushlightuserdata(L, (void *)((index + 1) << TAG_BITS | TAG));
  return 1;
}

// Index of the intent at stack index, or -1.
static int64_t intent_index(lua_State *L, int index) {
  uintptr_t p = (uintptr_t)lua_touserdata(L, index);
  th_output *o = th_worker_of(L)->output;
  if ((p & ((1u << TAG_BITS) - 1)) != TAG || !o) return -1;
  uintptr_t number = (p >> TAG_BITS) - 1;
  return number < o->intents_length ? (int64_t)number : -1;
}

static const char *const kinds[] = {"", "put", "delete", "add", "max", "min", "append", "replace", "emit",
                                    "append_text", "send", "broadcast"};

int th_intent_fields(lua_State *L) {
  int64_t i = lua_islightuserdata(L, 1) && lua_touserdata(L, 1) ? intent_index(L, 1) : -1;
  if (i < 0) return 0;
  th_output *o = th_worker_of(L)->output;
  th_intent *intent = &o->intents[i];
  lua_createtable(L, 0, 4);
  lua_pushstring(L, kinds[intent->kind]);
  lua_setfield(L, -2, "kind");
  if (intent->store) { th_push_store_name(L, intent->store); lua_setfield(L, -2, "store"); }
  lua_pushlstring(L, (const char *)o->bytes + intent->key_offset, intent->key_length);
  lua_setfield(L, -2, "key");
  if (intent->value_length) {
    th_decode(L, o->bytes + intent->value_offset, intent->value_length);
    lua_setfield(L, -2, "value");
  }
  return 1;
}

int th_intent_tostring(lua_State *L) {
  int64_t i = lua_touserdata(L, 1) ? intent_index(L, 1) : -1;
  if (i < 0) {
    lua_pushstring(L, lua_touserdata(L, 1) ? "userdata" : "null");
    return 1;
  }
  th_output *o = th_worker_of(L)->output;
  th_intent *intent = &o->intents[i];
  lua_pushfstring(L, "intent %s ", kinds[intent->kind]);
  int parts = 1;
  if (intent->store) {
    th_push_store_name(L, intent->store);
    lua_pushstring(L, intent->kind == TH_REPLACE ? "" : "/");
    parts += 2;
  }
  lua_pushlstring(L, (const char *)o->bytes + intent->key_offset, intent->key_length);
  lua_concat(L, parts + 1);
  return 1;
}

// --- what execute returned

typedef struct place { const struct place *up; lua_Integer index; } place;

static void push_place(lua_State *L, const place *p) {
  TH_EFFECT(L, 1);
  lua_Integer chain[LIST_DEPTH + 2];
  int n = 0;
  for (; p && n < LIST_DEPTH + 2; p = p->up) chain[n++] = p->index;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  if (n) luaL_addstring(&b, " at ");
  while (n--) {
    lua_pushfstring(L, "[%I]", (LUAI_UACINT)chain[n]);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
}

static void refuse(lua_State *L, const place *p, const char *what) {
  push_place(L, p);
  luaL_error(L, "execute returned %s%s: expected a list of intents", what, lua_tostring(L, -1));
}

static void add_returned(lua_State *L, int index, const place *p) {
  th_worker *w = th_worker_of(L);
  th_output *o = w->output;
  struct th_runner *r = w->runner;
  int64_t i = intent_index(L, index);
  if (i < 0) { refuse(L, p, lua_touserdata(L, index) ? "a foreign value" : "null"); return; }
  if (r->marks[i]) {
    push_place(L, p);
    luaL_error(L, "execute returned the same intent twice%s", lua_tostring(L, -1));
  }
  r->marks[i] = 1;
  o->returned[o->returned_length++] = (uint32_t)i;  // room for all was made before
}

static void collect(lua_State *L, int index, const place *p, int depth);

static void collect_list(lua_State *L, int list, const place *p, int depth) {
  TH_EFFECT(L, 0);
  if (depth > LIST_DEPTH) { refuse(L, p, "lists nested too deep"); return; }
  luaL_checkstack(L, 16, NULL);  // for what a refusal says, too
  int top = lua_gettop(L);
  if (th_frozen_content(L, list)) list = top + 1;
  lua_Integer n = (lua_Integer)lua_rawlen(L, list), count = 0;
  for (lua_Integer i = 1; i <= n; i++) {
    place inside = {p, i};
    th_check(L);
    if (lua_rawgeti(L, list, i) == LUA_TNIL) { refuse(L, &inside, "nil (use false to leave one out)"); return; }
    collect(L, lua_gettop(L), &inside, depth);
    lua_pop(L, 1);
  }
  unsigned steps = 0;
  lua_pushnil(L);
  while (lua_next(L, list)) { th_step(L, steps, 1); lua_pop(L, 1); count++; }
  if (count != n) { refuse(L, p, n ? "a list with holes or other keys" : "a table that is no list"); return; }
  lua_settop(L, top);
}

static void collect(lua_State *L, int index, const place *p, int depth) {
  TH_EFFECT(L, 0);
  switch (lua_type(L, index)) {
    case LUA_TLIGHTUSERDATA: add_returned(L, index, p); return;
    case LUA_TTABLE: collect_list(L, index, p, depth + 1); return;
    case LUA_TBOOLEAN: if (p && !lua_toboolean(L, index)) return; break;
    default: break;
  }
  lua_pushfstring(L, "a %s", luaL_typename(L, index));
  refuse(L, p, lua_tostring(L, -1));
}

void th_collect_returned(lua_State *L, int index) {
  TH_EFFECT(L, 0);
  th_worker *w = th_worker_of(L);
  struct th_runner *r = w->runner;
  th_output *o = w->output;
  if (lua_isnil(L, index)) return;
  uint32_t n = o->intents_length;
  if (o->returned_capacity < n) {
    uint32_t *returned = realloc(o->returned, n * sizeof *returned);
    if (!returned) { luaL_error(L, "not enough memory"); return; }
    o->returned = returned;
    o->returned_capacity = n;
  }
  if (r->marks_capacity < n) {
    uint8_t *marks = realloc(r->marks, n);
    if (!marks) { luaL_error(L, "not enough memory"); return; }
    r->marks = marks;
    r->marks_capacity = n;
  }
  if (n) memset(r->marks, 0, n);
  collect(L, index, NULL, 0);
}
