// string, utf8 and the metatable of strings. Harmless functions are the library's own; those that can work long
// on one call are ours (here, th_pattern.c, th_format.c). string.dump does not exist.
#include <ctype.h>
#include <string.h>
#include <lualib.h>
#include "text/th_text.h"

enum { PART = 1 << 16, LAYOUT_MAX = 1 << 12 };

// --- functions over whole strings, in parts

static int map(lua_State *L, int (*of)(int)) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, n);
  for (size_t i = 0; i < n; i++) {
    if (i % PART == 0) th_check(L);
    to[i] = (char)of((unsigned char)s[i]);
  }
  luaL_pushresultsize(&b, n);
  return 1;
}

static int string_lower(lua_State *L) { return map(L, tolower); }
static int string_upper(lua_State *L) { return map(L, toupper); }

static int string_reverse(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, n);
  for (size_t i = 0; i < n; i++) {
    if (i % PART == 0) th_check(L);
    to[i] = s[n - 1 - i];
  }
  luaL_pushresultsize(&b, n);
  return 1;
}

// Fills `total` bytes with copies of the first `unit` bytes.
static void fill(lua_State *L, char *to, size_t unit, size_t total) {
  size_t most = unit > PART ? unit : PART / unit * unit;
  for (size_t n = unit; n < total; ) {
    size_t part = n < most ? n : most;
    if (part > total - n) part = total - n;
    memcpy(to + n, to, part);
    n += part;
    th_check(L);
  }
}

static int string_rep(lua_State *L) {
  size_t n, gap;
  const char *s = luaL_checklstring(L, 1, &n);
  lua_Integer times = luaL_checkinteger(L, 2);
  const char *between = luaL_optlstring(L, 3, "", &gap);
  if (times <= 0 || (n == 0 && gap == 0)) { lua_pushliteral(L, ""); return 1; }
  size_t unit = n + gap;
  if (unit < n || unit > (size_t)LUA_MAXINTEGER / (size_t)times) return luaL_error(L, "resulting string too large");
  size_t total = unit * (size_t)times - gap;
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, total);
  memcpy(to, s, n);
  if (times > 1) {
    memcpy(to + n, between, gap);
    fill(L, to, unit, total);
  }
  luaL_pushresultsize(&b, total);
  return 1;
}

// pack and unpack work through their format without a check: bound it.
static int with_short_layout(lua_State *L) {
  size_t n;
  luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n <= LAYOUT_MAX, 1, "format too long");
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

int th_is_constant_closure(lua_CFunction f) { return f == with_short_layout; }

// --- utf8.len and utf8.offset

static int is_continuation(const char *s) { return (*s & 0xC0) == 0x80; }

static lua_Integer from_start(lua_Integer i, size_t length) {
  if (i >= 0) return i;
  return 0u - (size_t)i > length ? 0 : (lua_Integer)length + i + 1;
}

// Bytes of the sequence at s, 0 when it is malformed.
static size_t sequence(const char *s, const char *end, int lax) {
  static const lua_Unsigned least[] = {0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000};
  unsigned char c = (unsigned char)*s;
  if (c < 0x80) return 1;
  if (c < 0xC0 || c >= 0xFE) return 0;
  size_t more = 1;
  while (c & (0x40 >> more)) more++;
  lua_Unsigned code = c & (0x3F >> more);
  if ((size_t)(end - s) <= more) return 0;
  for (size_t i = 1; i <= more; i++) {
    if (!is_continuation(s + i)) return 0;
    code = code << 6 | (unsigned char)(s[i] & 0x3F);
  }
  if (code < least[more]) return 0;
  if (!lax && (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))) return 0;
  return more + 1;
}

static int utf8_len(lua_State *L) {
  size_t length;
  const char *s = luaL_checklstring(L, 1, &length);
  lua_Integer i = from_start(luaL_optinteger(L, 2, 1), length), j = from_start(luaL_optinteger(L, 3, -1), length);
  int lax = lua_toboolean(L, 4);
  luaL_argcheck(L, 1 <= i && i - 1 <= (lua_Integer)length, 2, "initial position out of bounds");
  luaL_argcheck(L, j <= (lua_Integer)length, 3, "final position out of bounds");
  lua_Integer count = 0;
  unsigned steps = 0;
  while (i <= j) {
    th_step(L, steps, 1);
    size_t n = sequence(s + i - 1, s + length, lax);
    if (n == 0) {
      luaL_pushfail(L);
      lua_pushinteger(L, i);
      return 2;
    }
    i += (lua_Integer)n;
    count++;
  }
  lua_pushinteger(L, count);
  return 1;
}

// The byte where the n-th character from byte i starts; n counts down to 0 on success.
static lua_Integer walk(lua_State *L, const char *s, lua_Integer length, lua_Integer i, lua_Integer *n) {
  unsigned steps = 0;
  while (*n < 0 && i > 0) {
    do { i--; th_step(L, steps, 1); } while (i > 0 && is_continuation(s + i));
    ++*n;
  }
  if (*n > 0) {
    --*n;
    while (*n > 0 && i < length) {
      do { i++; th_step(L, steps, 1); } while (i < length && is_continuation(s + i));
      --*n;
    }
  }
  return i;
}

static int utf8_offset(lua_State *L) {
  size_t size;
  const char *s = luaL_checklstring(L, 1, &size);
  lua_Integer n = luaL_checkinteger(L, 2), length = (lua_Integer)size;
  lua_Integer i = from_start(luaL_optinteger(L, 3, n > 0 ? 1 : length + 1), size) - 1;
  luaL_argcheck(L, 0 <= i && i <= length, 3, "position out of bounds");
  if (n == 0) {
    unsigned steps = 0;
    while (i > 0 && i < length && is_continuation(s + i)) { i--; th_step(L, steps, 1); }
  } else {
    if (i < length && is_continuation(s + i)) return luaL_error(L, "initial position is a continuation byte");
    i = walk(L, s, length, i, &n);
  }
  if (n == 0) lua_pushinteger(L, i + 1); else luaL_pushfail(L);
  return 1;
}

// --- opening

// Copies the named functions from the table on top to the one below it.
static void copy(lua_State *L, const char *const *names) {
  for (; *names; names++) {
    lua_getfield(L, -1, *names);
    lua_setfield(L, -3, *names);
  }
}

static void copy_with_short_layout(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, with_short_layout, 1);
  lua_setfield(L, -3, name);
}

// luaopen_string gave strings a metatable with arithmetic on numerals, which stays; its __index becomes a table
// that no script holds, so methods can be looked up in one step.
static void set_string_metatable(lua_State *L, int library) {
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, library); ) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 2);
}

static void open_library(lua_State *L, lua_CFunction opener) {
  lua_pushcfunction(L, opener);
  lua_call(L, 0, 1);
}

void th_open_string(lua_State *L) {
  TH_EFFECT(L, 0);
  static const char *const kept[] = {"byte", "char", "len", "sub", NULL};
  static const char *const kept_utf8[] = {"char", "charpattern", "codepoint", "codes", NULL};
  static const luaL_Reg own[] = {
    {"find", th_string_find}, {"format", th_string_format}, {"gmatch", th_string_gmatch},
    {"gsub", th_string_gsub}, {"lower", string_lower}, {"match", th_string_match}, {"rep", string_rep},
    {"reverse", string_reverse}, {"upper", string_upper}, {NULL, NULL},
  };
  lua_newtable(L);
  open_library(L, luaopen_string);
  copy(L, kept);
  copy_with_short_layout(L, "pack");
  copy_with_short_layout(L, "packsize");
  copy_with_short_layout(L, "unpack");
  lua_pop(L, 1);
  luaL_setfuncs(L, own, 0);
  set_string_metatable(L, lua_gettop(L));
  lua_setfield(L, -2, "string");
  lua_newtable(L);
  open_library(L, luaopen_utf8);
  copy(L, kept_utf8);
  lua_pop(L, 1);
  lua_pushcfunction(L, utf8_len);
  lua_setfield(L, -2, "len");
  lua_pushcfunction(L, utf8_offset);
  lua_setfield(L, -2, "offset");
  lua_setfield(L, -2, "utf8");
}
