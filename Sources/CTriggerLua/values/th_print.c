// What print and ctx:log show of a table: its content, bounded in every direction, in the fixed order of keys.
//
//     {1, 2, name = "x", nested = {...}, ["odd key"] = true, ... 90 more}
//
// The text goes into a buffer of its own: __tostring of what is inside may run for long, fail, or print. Keys are
// chosen in one pass that remembers the first of them only, since a table may have millions.
#include <stdio.h>
#include <string.h>
#include "values/th_values.h"

enum {
  TEXT_BYTES = 8192,   // of the whole text
  STRING_BYTES = 200,  // of one value's or key's text
  SHOWN = 50,          // entries of one table
  DEPTH = 4,           // tables within tables
};

typedef struct text { char *bytes; size_t length; } text;
typedef struct frame { const struct frame *outer; const void *table; int depth; } frame;

static int is_full(const text *t) { return t->length >= TEXT_BYTES; }

static void add(text *t, const char *bytes, size_t length) {
  size_t room = TEXT_BYTES - t->length;
  if (length > room) length = th_cut(bytes, length, room);
  memcpy(t->bytes + t->length, bytes, length);
  t->length = length < room ? t->length + length : TEXT_BYTES;
}

static void add_text(text *t, const char *words) { add(t, words, strlen(words)); }

static void add_quoted(text *t, const char *bytes, size_t length) {
  size_t n = th_cut(bytes, length, STRING_BYTES);
  add_text(t, "\"");
  for (size_t i = 0; i < n && !is_full(t); i++) {
    char c = bytes[i], code[8];
    if (c == '"' || c == '\\') { snprintf(code, sizeof code, "\\%c", c); add_text(t, code); }
    else if (c == '\n') add_text(t, "\\n");
    else if ((unsigned char)c < 0x20 || c == 0x7f) { snprintf(code, sizeof code, "\\x%02x", (unsigned char)c); add_text(t, code); }
    else t->bytes[t->length++] = c;
  }
  add_text(t, n < length ? "...\"" : "\"");
}

// --- values

// __tostring of something inside, or what stands for it: what is printed around it must come out all the same.
static int tostring_body(lua_State *L) {
  th_tostring(L, 1, NULL);
  return 1;
}

static void add_tostring(text *t, lua_State *L, int index) {
  TH_EFFECT(L, 0);
  th_worker *w = th_worker_of(L);
  int chunks = w->chunks;
  size_t length;
  lua_pushcfunction(L, tostring_body);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    th_chunks_unwind(w, chunks);
    if (th_ending(w)) th_raise_end(L);
    th_check_limit(L, -1);
    add_text(t, "<__tostring failed>");
  } else {
    const char *bytes = lua_tolstring(L, -1, &length);
    size_t n = th_cut(bytes, length, STRING_BYTES);
    add(t, bytes, n);
    if (n < length) add_text(t, "...");
  }
  lua_pop(L, 1);
}

static int has_tostring(lua_State *L, int index) {
  if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL) return 0;
  lua_pop(L, 1);
  return 1;
}

static void add_table(text *t, lua_State *L, int index, const frame *outer);

static void add_value(text *t, lua_State *L, int index, const frame *outer) {
  TH_EFFECT(L, 0);
  size_t length;
  index = lua_absindex(L, index);
  int type = lua_type(L, index);
  if (type == LUA_TSTRING) {
    const char *bytes = lua_tolstring(L, index, &length);
    add_quoted(t, bytes, length);
  } else if (type == LUA_TTABLE && !has_tostring(L, index)) {
    add_table(t, L, index, outer);
  } else {
    add_tostring(t, L, index);
  }
}

// --- keys

typedef struct chosen { th_entry entries[SHOWN]; int count; size_t all; } chosen;

static void choose(chosen *c, const th_entry *e) {
  int place = c->count;
  while (place > 0 && th_entry_before(e, &c->entries[place - 1])) place--;
  if (place == SHOWN) return;
  if (c->count < SHOWN) c->count++;
  memmove(&c->entries[place + 1], &c->entries[place], (size_t)(c->count - 1 - place) * sizeof *e);
  c->entries[place] = *e;
}

// Pushes a list of the first keys. Those without an order are only counted.
static size_t push_first_keys(lua_State *L, int table, int *count) {
  TH_EFFECT(L, 1);
  chosen c;
  unsigned steps = 0;
  c.count = 0;
  c.all = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    th_entry e;
    th_step(L, steps, 1);
    c.all++;
    th_entry_read(L, -2, &e);
    if (e.kind < TH_INTENT) choose(&c, &e);
  }
  lua_createtable(L, c.count, 0);
  for (int i = 0; i < c.count; i++) {
    const th_entry *e = &c.entries[i];
    if (e->kind == TH_INT) lua_pushinteger(L, e->u.i);
    else if (e->kind == TH_FLOAT) lua_pushnumber(L, e->u.n);
    else if (e->kind == TH_BOOL) lua_pushboolean(L, (int)e->u.i);
    else lua_pushlstring(L, e->u.s, e->length);
    lua_rawseti(L, -2, i + 1);
  }
  *count = c.count;
  return c.all;
}

static int is_name(const char *s, size_t length) {
  if (length == 0 || length > STRING_BYTES || (*s >= '0' && *s <= '9')) return 0;
  for (size_t i = 0; i < length; i++) {
    char c = s[i];
    if (!(c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) return 0;
  }
  return 1;
}

static void add_key(text *t, lua_State *L, int index) {
  size_t length;
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *name = lua_tolstring(L, index, &length);
    if (is_name(name, length)) {
      add(t, name, length);
    } else {
      add_text(t, "[");
      add_quoted(t, name, length);
      add_text(t, "]");
    }
  } else {
    add_text(t, "[");
    add_tostring(t, L, index);
    add_text(t, "]");
  }
  add_text(t, " = ");
}

// --- tables

static void add_more(text *t, size_t more, int written) {
  char words[48];
  snprintf(words, sizeof words, "%s... %zu more", written ? ", " : "", more);
  add_text(t, words);
}

// Stack: content, keys.
static void add_entries(text *t, lua_State *L, int content, const frame *here) {
  TH_EFFECT(L, 0);
  int count;
  size_t all = push_first_keys(L, content, &count);
  int keys = lua_gettop(L), written = 0;
  lua_Integer next = 1;
  for (int i = 1; i <= count && !is_full(t); i++) {
    lua_rawgeti(L, keys, i);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, content) != LUA_TNIL) {  // a __tostring may have taken it out
      if (written++) add_text(t, ", ");
      if (lua_isinteger(L, -2) && lua_tointeger(L, -2) == next) next++;
      else add_key(t, L, keys + 1);
      add_value(t, L, -1, here);
    }
    lua_pop(L, 2);
  }
  if (all > (size_t)count) add_more(t, all - (size_t)count, written);
  lua_pop(L, 1);
}

static void add_table(text *t, lua_State *L, int index, const frame *outer) {
  TH_EFFECT(L, 0);
  luaL_checkstack(L, 12, NULL);
  int top = lua_gettop(L);
  int content = th_frozen_content(L, index) ? top + 1 : index;
  frame here = {outer, lua_topointer(L, content), outer ? outer->depth + 1 : 1};
  for (const frame *f = outer; f; f = f->outer)
    if (f->table == here.table) { add_text(t, "<cycle>"); lua_settop(L, top); return; }
  if (here.depth > DEPTH) { add_text(t, "{...}"); lua_settop(L, top); return; }
  add_text(t, "{");
  add_entries(t, L, content, &here);
  add_text(t, "}");
  lua_settop(L, top);
}

const char *th_shown(lua_State *L, int index, size_t *length) {
  TH_EFFECT(L, 1);
  index = lua_absindex(L, index);
  if (lua_type(L, index) != LUA_TTABLE || has_tostring(L, index)) return th_tostring(L, index, length);
  text t = {lua_newuserdatauv(L, TEXT_BYTES + 3, 0), 0};
  add_table(&t, L, index, NULL);
  if (is_full(&t)) {
    t.length = th_cut(t.bytes, t.length, TEXT_BYTES - 3);
    memcpy(t.bytes + t.length, "...", 3);
    t.length += 3;
  }
  lua_pushlstring(L, t.bytes, t.length);
  lua_replace(L, -2);
  return lua_tolstring(L, -1, length);
}
