// Why a value cannot be stored, and where inside it.
//
// What of several such things an encoder meets first follows Lua's own order of keys, and so does whether a table that
// contains itself shows as too deep, as too large or by what else is in it. Scripts see the message, so it must not: the
// value is looked at again, in the fixed order of keys, first for tables that contain themselves.
#include <stdlib.h>
#include "codec/th_codec.h"

// How far inside, and among how many entries, tables that contain themselves are looked for.
enum { CYCLE_DEPTH = 200, CYCLE_ENTRIES = 20000 };

typedef struct refusal {
  lua_State *L;
  const th_limits *limits;
  const char *root;
  int functions_as_text;
} refusal;

typedef struct frame {
  const struct frame *up;
  const void *table;
  const char *key; size_t key_length;  // NULL: an array, index below
  lua_Integer index;
} frame;

static void push_path(refusal *e, const frame *f) {
  TH_EFFECT(e->L, 1);
  const frame *chain[CYCLE_DEPTH];
  int n = 0;
  for (; f && n < CYCLE_DEPTH; f = f->up) chain[n++] = f;
  luaL_Buffer b;
  luaL_buffinit(e->L, &b);
  luaL_addstring(&b, e->root);
  while (n--) {
    f = chain[n];
    if (f->key) {
      luaL_addchar(&b, '.');
      luaL_addlstring(&b, f->key, th_cut(f->key, f->key_length, 80));
    } else if (f->index) {
      lua_pushfstring(e->L, "[%I]", (LUAI_UACINT)f->index);
      luaL_addvalue(&b);
    }
  }
  luaL_pushresult(&b);
}

static _Noreturn void refuse_at(refusal *e, const frame *f, const char *why) {
  push_path(e, f);
  luaL_error(e->L, "%s: %s", lua_tostring(e->L, -1), why);
  abort();
}

static _Noreturn void refuse_size(refusal *e) {
  lua_pushfstring(e->L, "the value is larger than %I bytes", (LUAI_UACINT)e->limits->value_bytes);
  refuse_at(e, NULL, lua_tostring(e->L, -1));
}

static _Noreturn void refuse_depth(refusal *e, const frame *f) {
  lua_pushfstring(e->L, "nested deeper than %d levels", (int)e->limits->value_depth);
  refuse_at(e, f, lua_tostring(e->L, -1));
}

static _Noreturn void refuse_holes(refusal *e, const frame *f) {
  refuse_at(e, f, "a table with holes, or with both list and map keys, cannot be stored");
}

static _Noreturn void refuse_kind(refusal *e, const frame *f, int type) {
  switch (type) {
    case LUA_TLIGHTUSERDATA: refuse_at(e, f, "an intent cannot be stored");
    case LUA_TFUNCTION: refuse_at(e, f, "a function cannot be stored");
    case LUA_TTHREAD: refuse_at(e, f, "a coroutine cannot be stored");
    case LUA_TNIL: refuse_at(e, f, "nil cannot be stored");
    default: refuse_at(e, f, "a store or context cannot be stored");
  }
}

static _Noreturn void refuse_key(refusal *e, const frame *up, int type) {
  lua_pushfstring(e->L, "a table with a %s key cannot be stored", lua_typename(e->L, type));
  refuse_at(e, up, lua_tostring(e->L, -1));
}

static _Noreturn void refuse_bytes(refusal *e, const frame *up) {
  refuse_at(e, up, "a table with a key that is not UTF-8 text cannot be stored");
}

typedef struct survey {
  int only_cycles;
  uint32_t depth;
  lua_Integer left;  // entries that may be looked at; unless only cycles are looked for, bytes of text count, too
  unsigned steps;
} survey;

static int in_chain(const frame *f, const void *table) {
  for (; f; f = f->up) if (f->table == table) return 1;
  return 0;
}

// Refuses keys that cannot be stored; returns whether the entries can be looked at.
static int survey_keys(refusal *e, int table, const frame *up, survey *s) {
  TH_EFFECT(e->L, 0);
  lua_State *L = e->L;
  lua_Integer n = (lua_Integer)lua_rawlen(L, table), places = 0, cost = 0;
  int others = LUA_NUMTYPES, texts = 0, bytes = 0, outside = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    th_step(L, s->steps, 1);
    cost++;
    int type = lua_type(L, -2);
    if (type == LUA_TSTRING) {
      size_t length;
      const char *text = lua_tolstring(L, -2, &length);
      texts = 1;
      if (!s->only_cycles) cost += (lua_Integer)length;
      if (!th_valid_utf8((const uint8_t *)text, length)) bytes = 1;
    } else if (lua_isinteger(L, -2)) {
      lua_Integer place = lua_tointeger(L, -2);
      if (place >= 1 && place <= n) places++; else outside = 1;
    } else if (type < others) {
      others = type;
    }
  }
  int is_list = n || th_is_array(L, table), odd = others < LUA_NUMTYPES;
  int holes = outside || (is_list && (texts || odd || places != n));
  if (s->only_cycles) return !odd && cost <= s->left;
  if (holes) refuse_holes(e, up);
  if (odd) refuse_key(e, up, others);
  if (bytes) refuse_bytes(e, up);
  if (cost > s->left) refuse_size(e);  // before the keys of a huge table are put in order
  return 1;
}

static void look(refusal *e, int index, const frame *up, uint32_t depth, survey *s);

static void look_at_entries(refusal *e, int table, frame *f, uint32_t depth, survey *s) {
  lua_State *L = e->L;
  int list = lua_gettop(L) + 1, key = list + 1;
  lua_Integer prefix = th_order_keys(L, table);
  lua_Integer n = prefix + (lua_isnil(L, list) ? 0 : (lua_Integer)lua_rawlen(L, list));
  for (lua_Integer i = 1; i <= n; i++) {
    th_step(L, s->steps, 1);
    if (--s->left < 0) break;
    if (i <= prefix) lua_pushinteger(L, i); else lua_rawgeti(L, list, i - prefix);
    lua_pushvalue(L, key);
    lua_rawget(L, table);
    f->key = lua_type(L, key) == LUA_TSTRING ? lua_tolstring(L, key, &f->key_length) : NULL;
    f->index = f->key ? 0 : lua_tointeger(L, key);
    if (f->key && !s->only_cycles) s->left -= (lua_Integer)f->key_length;
    look(e, key + 1, f, depth, s);
    lua_settop(L, list);
  }
  lua_settop(L, list - 1);
}

static void look(refusal *e, int index, const frame *up, uint32_t depth, survey *s) {
  lua_State *L = e->L;
  int type = lua_type(L, index), top = lua_gettop(L);
  if (type != LUA_TTABLE) {
    if (s->only_cycles) return;
    if (type == LUA_TSTRING) s->left -= (lua_Integer)lua_rawlen(L, index);
    int is_null = type == LUA_TLIGHTUSERDATA && !lua_touserdata(L, index);
    int is_good = type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING || is_null;
    if (!is_good && !(type == LUA_TFUNCTION && e->functions_as_text)) refuse_kind(e, up, type);
    return;
  }
  frame f = {up, lua_topointer(L, index), NULL, 0, 0};
  if (in_chain(up, f.table)) refuse_at(e, up, "a table that contains itself cannot be stored");
  if (depth >= s->depth) {
    if (s->only_cycles) return;
    refuse_depth(e, up);
  }
  luaL_checkstack(L, 12, "nested too deep");
  if (th_frozen_content(L, index)) index = top + 1;
  if (survey_keys(e, index, up, s)) look_at_entries(e, index, &f, depth + 1, s);
  lua_settop(L, top);
}

// A value has no more entries and bytes of text than bytes: where nothing else is wrong, it is too large.
void th_refuse_value(
  lua_State *L, int value, const th_limits *limits, const char *root, int functions_as_text
) {
  refusal e = {L, limits, root, functions_as_text};
  survey cycles = {1, CYCLE_DEPTH, CYCLE_ENTRIES, 0}, all = {0, limits->value_depth, limits->value_bytes, 0};
  look(&e, value, NULL, 0, &cycles);
  look(&e, value, NULL, 0, &all);
  refuse_size(&e);
}
