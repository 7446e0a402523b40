// The table library. Plain tables are accessed raw, which is most of the speed; tables with metamethods as the
// manual says. Reading functions look at the content of a table kept between executions; writing ones leave it
// alone (th_frozen_write).
#include <limits.h>
#include "libraries/th_libraries.h"

enum { READ = 1, WRITE = 2, LENGTH = 4 };

static int lacks(lua_State *L, const char *name) {
  TH_EFFECT(L, 0);
  lua_pushstring(L, name);
  int absent = lua_rawget(L, -2) == LUA_TNIL;
  lua_pop(L, 1);
  return absent;
}

// Checks the table argument for `needs`. Returns 1 when raw access means the same as ordinary access.
static int table_argument(lua_State *L, int index, int needs) {
  TH_EFFECT(L, 0);
  int is_table = lua_type(L, index) == LUA_TTABLE;
  if (is_table && th_frozen_content(L, index)) {
    if (needs & WRITE) return th_frozen_write(L);
    lua_replace(L, index);
  }
  if (!lua_getmetatable(L, index)) {
    if (!is_table) luaL_checktype(L, index, LUA_TTABLE);
    return 1;
  }
  int no_read = lacks(L, "__index"), no_write = lacks(L, "__newindex"), no_length = lacks(L, "__len");
  lua_pop(L, 1);
  if (!is_table && ((needs & READ && no_read) || (needs & WRITE && no_write) || (needs & LENGTH && no_length)))
    luaL_checktype(L, index, LUA_TTABLE);
  return is_table && no_read && no_write && no_length;
}

static lua_Integer length_of(lua_State *L, int index, int raw) {
  return raw ? (lua_Integer)lua_rawlen(L, index) : luaL_len(L, index);
}

static int get(lua_State *L, int index, lua_Integer i, int raw) {
  return raw ? lua_rawgeti(L, index, i) : lua_geti(L, index, i);
}

static void set(lua_State *L, int index, lua_Integer i, int raw) {
  if (raw) lua_rawseti(L, index, i); else lua_seti(L, index, i);
}

static lua_Integer next_after(lua_Integer i) { return (lua_Integer)((lua_Unsigned)i + 1); }

// --- insert, remove, move

static int table_insert(lua_State *L) {
  int raw = table_argument(L, 1, READ | WRITE | LENGTH);
  lua_Integer end = next_after(length_of(L, 1, raw)), at = end;
  switch (lua_gettop(L)) {
    case 2: break;
    case 3: {
      unsigned steps = 0;
      at = luaL_checkinteger(L, 2);
      luaL_argcheck(L, (lua_Unsigned)at - 1u < (lua_Unsigned)end, 2, "position out of bounds");
      for (lua_Integer i = end; i > at; i--) {
        th_step(L, steps, 1);
        get(L, 1, i - 1, raw);
        set(L, 1, i, raw);
      }
      break;
    }
    default: return luaL_error(L, "wrong number of arguments to 'insert'");
  }
  set(L, 1, at, raw);
  return 0;
}

static int table_remove(lua_State *L) {
  int raw = table_argument(L, 1, READ | WRITE | LENGTH);
  lua_Integer size = length_of(L, 1, raw), at = luaL_optinteger(L, 2, size);
  unsigned steps = 0;
  if (at != size)
    luaL_argcheck(L, (lua_Unsigned)at - 1u <= (lua_Unsigned)size, 2, "position out of bounds");
  get(L, 1, at, raw);
  for (; at < size; at++) {
    th_step(L, steps, 1);
    get(L, 1, at + 1, raw);
    set(L, 1, at, raw);
  }
  lua_pushnil(L);
  set(L, 1, at, raw);
  return 1;
}

static void move_range(lua_State *L, lua_Integer from, lua_Integer last, lua_Integer to, int target, int raw) {
  TH_EFFECT(L, 0);
  lua_Integer count = last - from + 1;
  int down = to > last || to <= from || (target != 1 && !lua_compare(L, 1, target, LUA_OPEQ));
  unsigned steps = 0;
  for (lua_Integer k = 0; k < count; k++) {
    lua_Integer i = down ? k : count - 1 - k;
    th_step(L, steps, 1);
    get(L, 1, from + i, raw);
    set(L, target, to + i, raw);
  }
}

static int table_move(lua_State *L) {
  lua_Integer from = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3), to = luaL_checkinteger(L, 4);
  int target = lua_isnoneornil(L, 5) ? 1 : 5;
  int raw_target = table_argument(L, target, WRITE);
  int raw = table_argument(L, 1, READ) && raw_target;
  if (last >= from) {
    luaL_argcheck(L, from > 0 || last < LUA_MAXINTEGER + from, 3, "too many elements to move");
    luaL_argcheck(L, to <= LUA_MAXINTEGER - (last - from + 1) + 1, 4, "destination wrap around");
    move_range(L, from, last, to, target, raw);
  }
  lua_pushvalue(L, target);
  return 1;
}

// --- concat, pack, unpack

static void add_element(lua_State *L, luaL_Buffer *b, lua_Integer i, int raw) {
  int type = get(L, 1, i, raw);
  if (type == LUA_TNUMBER) {
    th_tostring(L, -1, NULL);
    lua_remove(L, -2);
  } else if (type != LUA_TSTRING) {
    luaL_error(L, "invalid value (at index %I) in table for 'concat'", (LUAI_UACINT)i);
  }
  luaL_addvalue(b);
}

static int table_concat(lua_State *L) {
  int raw = table_argument(L, 1, READ | LENGTH);
  lua_Integer size = length_of(L, 1, raw);
  size_t gap;
  const char *between = luaL_optlstring(L, 2, "", &gap);
  lua_Integer i = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, size);
  luaL_Buffer b;
  unsigned steps = 0;
  luaL_buffinit(L, &b);
  for (; i < last; i++) {
    th_step(L, steps, 1);
    add_element(L, &b, i, raw);
    luaL_addlstring(&b, between, gap);
  }
  if (i == last) add_element(L, &b, i, raw);
  luaL_pushresult(&b);
  return 1;
}

static int table_pack(lua_State *L) {
  int n = lua_gettop(L);
  lua_createtable(L, n, 1);
  lua_insert(L, 1);
  for (int i = n; i >= 1; i--) lua_rawseti(L, 1, i);
  lua_pushinteger(L, n);
  lua_setfield(L, 1, "n");
  return 1;
}

static int table_unpack(lua_State *L) {
  int raw = lua_type(L, 1) == LUA_TTABLE && table_argument(L, 1, READ);
  lua_Integer i = luaL_optinteger(L, 2, 1);
  lua_Integer last = lua_isnoneornil(L, 3) ? length_of(L, 1, raw) : luaL_checkinteger(L, 3);
  if (i > last) return 0;
  lua_Unsigned n = (lua_Unsigned)last - (lua_Unsigned)i;
  unsigned steps = 0;
  if (n >= INT_MAX || !lua_checkstack(L, (int)++n)) return luaL_error(L, "too many results to unpack");
  for (lua_Unsigned k = 0; k < n; k++) {
    th_step(L, steps, 1);
    get(L, 1, (lua_Integer)((lua_Unsigned)i + k), raw);
  }
  return (int)n;
}

// --- sort: a merge sort, so that any comparator ends after n log n calls and equal elements keep their order

// Values of one kind, numbers or strings, without a comparator: sorted as C entries.
static int sort_simple(lua_State *L, lua_Integer n, int raw) {
  th_entry *e = lua_newuserdatauv(L, 2 * (size_t)n * sizeof *e, 0);
  lua_createtable(L, (int)n, 0);
  int kept = lua_gettop(L), strings = 0, numbers = 0;
  unsigned steps = 0;
  for (lua_Integer i = 1; i <= n; i++) {
    th_step(L, steps, 1);
    get(L, 1, i, raw);
    th_entry *it = &e[i - 1];
    th_entry_read(L, -1, it);
    it->slot = (int)i;
    if (it->kind == TH_STRING) strings = 1;
    else if (it->kind == TH_INT || it->kind == TH_FLOAT) numbers = 1;
    else strings = numbers = 1;
    lua_rawseti(L, kept, i);
  }
  if (strings && numbers) return 0;  // the elements stay in `kept`
  th_entry_sort(L, e, e + n, (size_t)n);
  for (lua_Integer i = 1; i <= n; i++) {
    th_step(L, steps, 1);
    lua_rawgeti(L, kept, e[i - 1].slot);
    set(L, 1, i, raw);
  }
  return 1;
}

// Is the value on top less than the one below it?
static int top_is_less(lua_State *L) {
  TH_EFFECT(L, 0);
  if (lua_isnil(L, 2)) return lua_compare(L, -1, -2, LUA_OPLT);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -4);
  lua_call(L, 2, 1);
  int less = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return less;
}

typedef struct run { lua_Integer at, end; } run;

// Merges two neighbouring runs of the table at `from` into `to`.
static void merge_runs(lua_State *L, int from, int to, run a, run b) {
  TH_EFFECT(L, 0);
  lua_Integer out = a.at;
  unsigned steps = 0;
  if (a.at < a.end && b.at < b.end) {
    lua_rawgeti(L, from, a.at);
    lua_rawgeti(L, from, b.at);
    for (;;) {
      th_step(L, steps, 1);
      if (top_is_less(L)) {
        lua_rawseti(L, to, out++);
        if (++b.at == b.end) break;
        lua_rawgeti(L, from, b.at);
      } else {
        lua_pushvalue(L, -2);
        lua_rawseti(L, to, out++);
        if (++a.at == a.end) break;
        lua_rawgeti(L, from, a.at);
        lua_replace(L, -3);
      }
    }
    lua_settop(L, 4);
  }
  run rest = a.at < a.end ? a : b;
  for (; rest.at < rest.end; rest.at++) {
    th_step(L, steps, 1);
    lua_rawgeti(L, from, rest.at);
    lua_rawseti(L, to, out++);
  }
}

// Sorts the elements of the table at 3 with 4 as scratch; returns where the result is.
static int sort_by_merging(lua_State *L, lua_Integer n) {
  TH_EFFECT(L, 0);
  int from = 3, to = 4;
  for (lua_Integer width = 1; width < n; width *= 2) {
    for (lua_Integer i = 1; i <= n; i += 2 * width) {
      run a = {i, n - i + 1 < width ? n + 1 : i + width};
      run b = {a.end, n - a.end + 1 < width ? n + 1 : a.end + width};
      merge_runs(L, from, to, a, b);
    }
    th_check(L);
    from = 7 - from;
    to = 7 - to;
  }
  return from;
}

static void copy_elements(lua_State *L, lua_Integer n, int from, int raw) {
  TH_EFFECT(L, 0);
  unsigned steps = 0;
  for (lua_Integer i = 1; i <= n; i++) {
    th_step(L, steps, 1);
    lua_rawgeti(L, from, i);
    set(L, 1, i, raw);
  }
}

static int table_sort(lua_State *L) {
  int raw = table_argument(L, 1, READ | WRITE | LENGTH);
  lua_Integer n = length_of(L, 1, raw);
  if (n < 2) return 0;
  luaL_argcheck(L, n < INT_MAX / 4, 1, "array too big");
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  luaL_checkstack(L, 12, NULL);
  if (lua_isnil(L, 2)) {
    if (sort_simple(L, n, raw)) return 0;
    lua_replace(L, 3);
  } else {
    unsigned steps = 0;
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
      th_step(L, steps, 1);
      get(L, 1, i, raw);
      lua_rawseti(L, 3, i);
    }
  }
  lua_createtable(L, (int)n, 0);
  copy_elements(L, n, sort_by_merging(L, n), raw);
  return 0;
}

void th_open_table(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"concat", table_concat}, {"insert", table_insert}, {"move", table_move}, {"pack", table_pack},
    {"remove", table_remove}, {"sort", table_sort}, {"unpack", table_unpack}, {NULL, NULL},
  };
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "table");
}
