// The fixed order of keys: numbers by value, strings by bytes, false, true, intents, then tables, functions and coroutines
// as they were made (th_born.c), and last at most one that has no such place: a function of a library, a store.
//
// Lua's own order follows the hash seed and the history of a table. A traversal here looks at the keys once:
// when Lua's order runs 1, 2, 3... these keys need no list (most arrays have no other); the others are sorted
// into a list. `pairs` keeps the list in its iterator; `next` keeps it in a table with weak keys.
#include <math.h>
#include <string.h>
#include "values/th_values.h"

// --- comparing and sorting

void th_entry_read(lua_State *L, int index, th_entry *e) {
  e->length = 0;
  switch (lua_type(L, index)) {
    case LUA_TNUMBER:
      e->kind = lua_isinteger(L, index) ? TH_INT : TH_FLOAT;
      if (e->kind == TH_INT) e->u.i = lua_tointeger(L, index); else e->u.n = lua_tonumber(L, index);
      break;
    case LUA_TSTRING:
      e->kind = TH_STRING;
      e->u.s = lua_tolstring(L, index, &e->length);  // stays: the value is anchored by the table
      break;
    case LUA_TBOOLEAN:
      e->kind = TH_BOOL;
      e->u.i = lua_toboolean(L, index);
      break;
    case LUA_TLIGHTUSERDATA:  // null, and intents as they were prepared
      e->kind = TH_INTENT;
      e->u.place = (uint64_t)(uintptr_t)lua_touserdata(L, index);
      break;
    default:
      e->u.place = th_place_of(L, index);
      e->kind = e->u.place ? TH_OBJECT : TH_UNORDERED;
      break;
  }
}

static int int_before_float(lua_Integer i, lua_Number n) {
  if (isnan(n)) return 0;
  if (n >= 0x1p63) return 1;
  if (n < -0x1p63) return 0;
  lua_Number whole = floor(n);
  return whole == n ? i < (lua_Integer)whole : i <= (lua_Integer)whole;
}

static int float_before_int(lua_Number n, lua_Integer i) {
  if (isnan(n)) return 0;
  if (n >= 0x1p63) return 0;
  if (n < -0x1p63) return 1;
  return (lua_Integer)floor(n) < i;
}

static int text_before(const th_entry *a, const th_entry *b) {
  size_t n = a->length < b->length ? a->length : b->length;
  int order = memcmp(a->u.s, b->u.s, n);
  return order ? order < 0 : a->length < b->length;
}

static int before(const th_entry *a, const th_entry *b) {
  if (a->kind == b->kind) {
    if (a->kind == TH_STRING) return text_before(a, b);
    if (a->kind == TH_FLOAT) return a->u.n < b->u.n;
    if (a->kind == TH_OBJECT || a->kind == TH_INTENT) return a->u.place < b->u.place;
    if (a->kind == TH_UNORDERED) return 0;
    return a->u.i < b->u.i;
  }
  if (a->kind == TH_INT && b->kind == TH_FLOAT) return int_before_float(a->u.i, b->u.n);
  if (a->kind == TH_FLOAT && b->kind == TH_INT) return float_before_int(a->u.n, b->u.i);
  return a->kind < b->kind;
}

int th_entry_before(const th_entry *a, const th_entry *b) { return before(a, b); }

static void sort_few(th_entry *e, size_t count) {
  for (size_t i = 1; i < count; i++) {
    th_entry moved = e[i];
    size_t at = i;
    for (; at > 0 && before(&moved, &e[at - 1]); at--) e[at] = e[at - 1];
    e[at] = moved;
  }
}

static void merge(lua_State *L, const th_entry *a, size_t na, const th_entry *b, size_t nb, th_entry *to) {
  unsigned steps = 0;
  size_t i = 0, j = 0;
  while (i < na && j < nb) {
    th_step(L, steps, 1 + (a[i].length < b[j].length ? a[i].length : b[j].length) / 1024);
    *to++ = before(&b[j], &a[i]) ? b[j++] : a[i++];
  }
  memcpy(to, a + i, (na - i) * sizeof *a);
  memcpy(to + (na - i), b + j, (nb - j) * sizeof *b);
}

void th_entry_sort(lua_State *L, th_entry *e, th_entry *scratch, size_t count) {
  enum { RUN = 16 };
  for (size_t i = 0; i < count; i += RUN) {
    sort_few(e + i, count - i < RUN ? count - i : RUN);
    th_check(L);
  }
  th_entry *from = e, *to = scratch;
  for (size_t width = RUN; width < count; width *= 2) {
    for (size_t i = 0; i < count; i += 2 * width) {
      size_t na = count - i < width ? count - i : width;
      size_t rest = count - i - na, nb = rest < width ? rest : width;
      merge(L, from + i, na, from + i + na, nb, to + i);
    }
    th_check(L);
    th_entry *swap = from;
    from = to;
    to = swap;
  }
  if (from != e) memcpy(e, from, count * sizeof *e);
}

// --- the keys of a table

typedef struct keys {
  lua_Integer prefix;   // keys 1..prefix came first, in order
  size_t others;        // keys after them
  int mixed;            // one of the others is a number below the prefix
} keys;

static keys count_keys(lua_State *L, int table) {
  TH_EFFECT(L, 0);
  keys k = {0, 0, 0};
  unsigned steps = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    th_step(L, steps, 1);
    int number = lua_type(L, -2) == LUA_TNUMBER;
    if (!k.others && number && lua_isinteger(L, -2) && lua_tointeger(L, -2) == k.prefix + 1) {
      k.prefix++;
    } else {
      k.others++;
      if (number && lua_tonumber(L, -2) < (lua_Number)k.prefix + 1) k.mixed = 1;
    }
  }
  if (k.mixed) {
    k.others += (size_t)k.prefix;
    k.prefix = 0;
  }
  return k;
}

// They have no order; their types are for the message.
static void refuse_two_objects(lua_State *L, const char *one, const char *two) {
  luaL_error(L, "cannot iterate a table with two keys that have no order (%s, %s): functions of the libraries and stores "
             "have none; use their names", one, two);
}

// Fills e with the keys after the prefix; keeps each in table `kept` (slots 1..).
static size_t read_keys(lua_State *L, int table, keys k, th_entry *e, int kept) {
  TH_EFFECT(L, 0);
  size_t n = 0;
  lua_Integer skipped = 0;
  unsigned steps = 0;
  const char *object = NULL;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    th_step(L, steps, 1);
    if (skipped < k.prefix) { skipped++; continue; }
    if (n == k.others) break;
    th_entry_read(L, -2, &e[n]);
    if (e[n].kind == TH_UNORDERED) {
      if (object) {
        const char *other = luaL_typename(L, -2);
        int swap = strcmp(object, other) > 0;  // Lua's own order must not show in the message
        refuse_two_objects(L, swap ? other : object, swap ? object : other);
      }
      object = luaL_typename(L, -2);
    }
    lua_pushvalue(L, -2);
    lua_rawseti(L, kept, (lua_Integer)n + 1);
    e[n].slot = (int)n + 1;
    n++;
  }
  return n;
}

// Small tables: keys stay on the Lua stack, entries on the C stack.
enum { FEW = 24 };

static void push_few(lua_State *L, int table, keys k) {
  TH_EFFECT(L, 1);
  th_entry e[FEW];
  int base = lua_gettop(L), n = 0;
  lua_Integer skipped = 0;
  const char *object = NULL;
  luaL_checkstack(L, FEW + 6, NULL);
  lua_createtable(L, (int)k.others, 1);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    if (skipped < k.prefix) { skipped++; continue; }
    th_entry_read(L, -1, &e[n]);
    if (e[n].kind == TH_UNORDERED) {
      const char *other = luaL_typename(L, -1);
      if (object) {
        int swap = strcmp(object, other) > 0;
        refuse_two_objects(L, swap ? other : object, swap ? object : other);
      }
      object = other;
    }
    e[n].slot = base + 2 + n;
    n++;
    lua_pushvalue(L, -1);  // one stays, one goes to lua_next
  }
  sort_few(e, (size_t)n);
  for (int i = 0; i < n; i++) {
    lua_pushvalue(L, e[i].slot);
    lua_rawseti(L, base + 1, i + 1);
  }
  lua_settop(L, base + 1);
}

static void push_many(lua_State *L, int table, keys k) {
  TH_EFFECT(L, 1);
  luaL_checkstack(L, 8, NULL);
  if (k.others > INT32_MAX / 4) luaL_error(L, "table too large to iterate");
  lua_createtable(L, (int)k.others, 1);
  int sorted = lua_gettop(L);
  lua_createtable(L, (int)k.others, 0);
  th_entry *e = lua_newuserdatauv(L, 2 * k.others * sizeof *e, 0);
  size_t n = read_keys(L, table, k, e, sorted + 1);
  th_entry_sort(L, e, e + n, n);
  unsigned steps = 0;
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, sorted + 1, e[i].slot);
    lua_rawseti(L, sorted, (lua_Integer)i + 1);
    th_step(L, steps, 1);
  }
  lua_settop(L, sorted);
}

lua_Integer th_order_keys(lua_State *L, int table) {
  TH_EFFECT(L, 1);
  keys k = count_keys(L, table);
  if (k.others == 0) lua_pushnil(L);
  else if (k.others <= FEW) push_few(L, table, k);
  else push_many(L, table, k);
  return k.prefix;
}

// --- pairs

enum { LIST = 1, CONTENT, PREFIX, POSITION };  // upvalues of the iterator

static int step_of_pairs(lua_State *L) {
  lua_Integer prefix = lua_tointeger(L, lua_upvalueindex(PREFIX));
  lua_Integer at = lua_isnoneornil(L, 2) ? 0 : lua_tointeger(L, lua_upvalueindex(POSITION));
  int found = 0;
  unsigned steps = 0;
  lua_settop(L, 2);
  while (at < prefix && !found) {
    th_step(L, steps, 1);
    lua_settop(L, 2);
    lua_pushinteger(L, ++at);
    found = lua_rawgeti(L, lua_upvalueindex(CONTENT), at) != LUA_TNIL;
  }
  while (!found) {  // keys whose value has become nil are passed over
    th_step(L, steps, 1);
    lua_settop(L, 2);
    if (lua_isnil(L, lua_upvalueindex(LIST))) break;
    if (lua_rawgeti(L, lua_upvalueindex(LIST), ++at - prefix) == LUA_TNIL) break;
    lua_pushvalue(L, -1);
    found = lua_rawget(L, lua_upvalueindex(CONTENT)) != LUA_TNIL;
  }
  lua_pushinteger(L, at);
  lua_replace(L, lua_upvalueindex(POSITION));
  if (found) return 2;
  lua_pushnil(L);
  return 1;
}

int th_pairs(lua_State *L) {
  luaL_checkany(L, 1);
  if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_callk(L, 1, 3, 0, NULL);
    return 3;
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (!th_frozen_content(L, 1)) lua_pushvalue(L, 1);
  lua_Integer prefix = th_order_keys(L, 2);
  lua_insert(L, 2);
  lua_pushinteger(L, prefix);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, step_of_pairs, 4);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

// --- next

// registry[&lists_key][table] = list of the traversal by next: list[0] its position, list[-1] its prefix,
// list[1..] the keys after the prefix. A traversal's start and its end drop the list, so it is never older than
// the loop it serves; weak keys let it go with the table.
static const char lists_key;

static void push_lists(lua_State *L) {
  TH_EFFECT(L, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &lists_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  th_push_weak_table(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &lists_key);
}

// Sets lists[content] to the value on top and pops it. Stack: content 1, lists 3.
static void keep_list(lua_State *L) {
  TH_EFFECT(L, -1);
  lua_pushvalue(L, 1);
  lua_insert(L, -2);
  lua_rawset(L, 3);
}

// The least key without sorting.
static int first_key(lua_State *L) {
  th_entry least, e;
  int found = 0, two = 0;
  unsigned steps = 0;
  const char *object = NULL, *other = NULL;
  lua_settop(L, 3);
  lua_pushnil(L);
  lua_pushnil(L);
  while (lua_next(L, 1)) {  // 4: the least so far, 5: key, 6: value
    th_step(L, steps, 1);
    th_entry_read(L, 5, &e);
    if (e.kind == TH_UNORDERED) {
      if (object) { two = 1; other = luaL_typename(L, 5); }
      else object = luaL_typename(L, 5);
    }
    if (!found || before(&e, &least)) { least = e; found = 1; lua_pushvalue(L, 5); lua_replace(L, 4); }
    lua_settop(L, 5);
  }
  if (two) refuse_two_objects(L, strcmp(object, other) > 0 ? other : object, strcmp(object, other) > 0 ? object : other);
  lua_settop(L, 4);
  if (!found) return 1;
  lua_pushvalue(L, 4);
  lua_rawget(L, 1);
  return 2;
}

// Position of the key at 2 in the list at 4, or of the last one before it. *exact tells which.
static lua_Integer find_key(lua_State *L, lua_Integer prefix, int *exact) {
  TH_EFFECT(L, 0);
  th_entry wanted, e;
  th_entry_read(L, 2, &wanted);
  *exact = 1;
  if (wanted.kind == TH_INT && wanted.u.i >= 1 && wanted.u.i <= prefix) return wanted.u.i;
  lua_Integer low = 0, high = (lua_Integer)lua_rawlen(L, 4);
  while (low < high) {  // keys 1..low are before or equal
    lua_Integer middle = low + (high - low + 1) / 2;
    lua_rawgeti(L, 4, middle);
    th_entry_read(L, -1, &e);
    int after = before(&wanted, &e);
    lua_pop(L, 1);
    if (after) high = middle - 1; else low = middle;
  }
  lua_rawgeti(L, 4, low);
  *exact = low > 0 && lua_rawequal(L, -1, 2);
  lua_pop(L, 1);
  return prefix + low;
}

static void make_list(lua_State *L) {
  lua_settop(L, 3);
  lua_Integer prefix = th_order_keys(L, 1);
  if (lua_isnil(L, 4)) { lua_pop(L, 1); lua_createtable(L, 0, 2); }
  lua_pushinteger(L, prefix);
  lua_rawseti(L, 4, -1);
  lua_pushinteger(L, 0);
  lua_rawseti(L, 4, 0);
  lua_pushvalue(L, 4);
  keep_list(L);
}

static lua_Integer list_number(lua_State *L, lua_Integer field) {
  TH_EFFECT(L, 0);
  lua_rawgeti(L, 4, field);
  lua_Integer n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

// Pushes the key at a position of the list at 4; nil after the last.
static int push_key(lua_State *L, lua_Integer at, lua_Integer prefix) {
  TH_EFFECT(L, 1);
  if (at < 1) { lua_pushnil(L); return LUA_TNIL; }
  if (at > prefix) return lua_rawgeti(L, 4, at - prefix);
  lua_pushinteger(L, at);
  return LUA_TNUMBER;
}

// Leaves the list at 4 and returns the position of the key at 2 in it.
static lua_Integer find_place(lua_State *L) {
  lua_pushvalue(L, 1);
  int listed = lua_rawget(L, 3) == LUA_TTABLE, exact = 0;
  if (listed) {
    lua_Integer prefix = list_number(L, -1), at = list_number(L, 0);
    push_key(L, at, prefix);
    exact = lua_rawequal(L, -1, 2);
    lua_pop(L, 1);
    if (exact) return at;
    at = find_key(L, prefix, &exact);
    if (exact) return at;
  }
  make_list(L);
  return find_key(L, list_number(L, -1), &exact);
}

// 1: table, 2: key, 3: lists, 4: list
int th_next(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (th_frozen_content(L, 1)) lua_replace(L, 1);
  push_lists(L);
  if (lua_isnil(L, 2)) {
    lua_pushnil(L);
    keep_list(L);
    return first_key(L);
  }
  lua_Integer at = find_place(L), prefix = list_number(L, -1);
  unsigned steps = 0;
  for (;;) {
    th_step(L, steps, 1);
    lua_settop(L, 4);
    if (push_key(L, ++at, prefix) == LUA_TNIL) break;
    lua_pushvalue(L, 5);
    if (lua_rawget(L, 1) != LUA_TNIL) {
      lua_pushinteger(L, at);
      lua_rawseti(L, 4, 0);
      return 2;
    }
  }
  lua_pushnil(L);
  keep_list(L);
  lua_pushnil(L);
  return 1;
}
