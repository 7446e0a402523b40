// coroutine, string, utf8, table, math and os for the sandbox: allow-lists over Lua's own libraries, and
// our own versions of what could hide the end of an attempt, show an address, or differ between runs.
#include "th_internal.h"
#include <lualib.h>
#include <string.h>
#include <time.h>

// Runs a luaopen function and sets a new table `name` with the listed functions into the table on top.
static void open_listed(lua_State *L, const char *name, lua_CFunction open, const char *const *functions) {
  lua_newtable(L);
  lua_pushcfunction(L, open);
  lua_call(L, 0, 1);
  for (; *functions; functions++) {
    lua_getfield(L, -1, *functions);
    lua_setfield(L, -3, *functions);
  }
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, name);  // leaves the library on top
}

// --- coroutine ----------------------------------------------------------------------------------

// Runs `co` and keeps `running` true to what executes, so that the signal handler hooks the right one.
static int enter(lua_State *L, lua_State *co, int arguments) {
  th_worker *w = th_worker_of(L);
  int results = 0;
  if (!lua_checkstack(co, arguments)) return luaL_error(L, "too many arguments to resume");
  if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) {
    lua_pop(L, arguments);
    lua_pushliteral(L, "cannot resume dead coroutine");
    return -1;
  }
  lua_xmove(L, co, arguments);
  w->running = co;
  if (th_ending(w)) lua_sethook(co, th_end_hook, LUA_MASKCOUNT, 1);
  int status = lua_resume(co, L, arguments, &results);
  w->running = L;
  if (th_ending(w)) return th_raise_end(L);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return -1;
  }
  if (!lua_checkstack(L, results + 1)) {
    lua_pop(co, results);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(co, L, results);
  return results;
}

static lua_State *coroutine_at(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

static int coroutine_resume(lua_State *L) {
  lua_State *co = coroutine_at(L);
  int results = enter(L, co, lua_gettop(L) - 1);
  lua_pushboolean(L, results >= 0);
  lua_insert(L, results >= 0 ? -(results + 1) : -2);
  return results >= 0 ? results + 1 : 2;
}

static int call_wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int results = enter(L, co, lua_gettop(L));
  if (results >= 0) return results;
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) lua_resetthread(co);
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int coroutine_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, call_wrapped, 1);
  return 1;
}

static int coroutine_close(lua_State *L) {
  lua_State *co = coroutine_at(L);
  int status = lua_status(co);
  if (co == L || (status == LUA_OK && lua_gettop(co) > 0 && lua_isnone(co, 1)))
    return luaL_error(L, "cannot close a running coroutine");
  th_worker *w = th_worker_of(L);
  w->running = co;
  status = lua_resetthread(co);
  w->running = L;
  if (th_ending(w)) return th_raise_end(L);
  lua_pushboolean(L, status == LUA_OK);
  if (status == LUA_OK) return 1;
  lua_xmove(co, L, 1);
  return 2;
}

void th_open_coroutine(lua_State *L) {
  static const char *const harmless[] = {"create", "yield", "status", "isyieldable", "running", NULL};
  static const luaL_Reg own[] = {
    {"resume", coroutine_resume}, {"wrap", coroutine_wrap}, {"close", coroutine_close}, {NULL, NULL}};
  open_listed(L, "coroutine", luaopen_coroutine, harmless);
  luaL_setfuncs(L, own, 0);
  lua_pop(L, 1);
}

// --- string -------------------------------------------------------------------------------------

static int string_rep(lua_State *L) {
  size_t length, separator_length;
  const char *text = luaL_checklstring(L, 1, &length);
  lua_Integer count = luaL_checkinteger(L, 2);
  const char *separator = luaL_optlstring(L, 3, "", &separator_length);
  if (count <= 0 || length + separator_length == 0) { lua_pushliteral(L, ""); return 1; }
  if (length + separator_length > ((size_t)1 << 31) / (size_t)count)
    return luaL_error(L, "resulting string too large");
  luaL_Buffer buffer;
  luaL_buffinitsize(L, &buffer, (length + separator_length) * (size_t)count);
  while (count-- > 0) {
    luaL_addlstring(&buffer, text, length);
    if (count > 0) luaL_addlstring(&buffer, separator, separator_length);
    if ((count & 1023) == 0) th_check(L);
  }
  luaL_pushresult(&buffer);
  return 1;
}

// Lua's own format, with values that would show an address turned into text first. Upvalue: that format.
static int string_format(lua_State *L) {
  size_t length;
  const char *format = luaL_checklstring(L, 1, &length);
  for (size_t i = 0; i + 1 < length; i++) {
    if (format[i] != '%') continue;
    i += 1 + strspn(format + i + 1, "-+ #0123456789.");
    if (i < length && format[i] == 'p') return luaL_error(L, "'%%p' is not available: addresses differ between runs");
  }
  for (int index = 2; index <= lua_gettop(L); index++) {
    int type = lua_type(L, index);
    if (type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING) continue;
    int top = lua_gettop(L);
    th_tostring(L, index, NULL);
    lua_replace(L, index);
    lua_settop(L, top);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

void th_open_string(lua_State *L) {
  static const char *const strings[] = {
    "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "pack", "packsize",
    "reverse", "sub", "unpack", "upper", NULL};
  static const char *const utf8s[] = {
    "char", "charpattern", "codepoint", "codes", "len", "offset", NULL};
  open_listed(L, "string", luaopen_string, strings);
  lua_pushcfunction(L, string_rep);
  lua_setfield(L, -2, "rep");
  lua_getfield(L, -1, "format");
  lua_pushcclosure(L, string_format, 1);
  lua_setfield(L, -2, "format");
  // Methods of strings come from this table, not from the one luaopen_string made.
  lua_pushliteral(L, "");
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pop(L, 2);
  open_listed(L, "utf8", luaopen_utf8, utf8s);
  lua_pop(L, 1);
}

void th_open_table(lua_State *L) {
  static const char *const tables[] = {
    "concat", "insert", "move", "pack", "remove", "sort", "unpack", NULL};
  open_listed(L, "table", luaopen_table, tables);
  lua_pop(L, 1);
}

// --- math ---------------------------------------------------------------------------------------

static uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

// xoshiro256** (Blackman and Vigna 2018), one state per worker, seeded for each execution.
static uint64_t next_random(uint64_t *s) {
  uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0]; s[3] ^= s[1]; s[1] ^= s[2]; s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

void th_seed(th_worker *w, uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    seed += 0x9e3779b97f4a7c15u;
    uint64_t z = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    w->random[i] = z ^ (z >> 31);
  }
}

static int math_random(lua_State *L) {
  uint64_t *state = th_worker_of(L)->random;
  lua_Integer low = 1, high;
  switch (lua_gettop(L)) {
    case 0:
      lua_pushnumber(L, (lua_Number)(next_random(state) >> 11) * 0x1.0p-53);
      return 1;
    case 1:
      high = luaL_checkinteger(L, 1);
      if (high == 0) { lua_pushinteger(L, (lua_Integer)next_random(state)); return 1; }
      break;
    case 2:
      low = luaL_checkinteger(L, 1);
      high = luaL_checkinteger(L, 2);
      break;
    default: return luaL_error(L, "wrong number of arguments");
  }
  luaL_argcheck(L, low <= high, lua_gettop(L), "interval is empty");
  uint64_t range = (uint64_t)high - (uint64_t)low, limit = range, value;
  for (int shift = 1; shift < 64; shift *= 2) limit |= limit >> shift;
  do value = next_random(state) & limit; while (value > range);
  lua_pushinteger(L, (lua_Integer)((uint64_t)low + value));
  return 1;
}

static int math_randomseed(lua_State *L) {
  th_seed(th_worker_of(L), lua_isnoneornil(L, 1) ? 0 : (uint64_t)luaL_checknumber(L, 1));
  return 0;
}

void th_open_math(lua_State *L) {
  static const char *const maths[] = {
    "abs", "acos", "asin", "atan", "ceil", "cos", "deg", "exp", "floor", "fmod", "huge", "log", "max",
    "maxinteger", "min", "mininteger", "modf", "pi", "rad", "sin", "sqrt", "tan", "tointeger", "type",
    "ult", NULL};
  open_listed(L, "math", luaopen_math, maths);
  lua_pushcfunction(L, math_random);
  lua_setfield(L, -2, "random");
  lua_pushcfunction(L, math_randomseed);
  lua_setfield(L, -2, "randomseed");
  lua_pop(L, 1);
}

// --- os -----------------------------------------------------------------------------------------

static lua_Integer field(lua_State *L, const char *name, lua_Integer missing) {
  lua_getfield(L, 1, name);
  int is_integer;
  lua_Integer value = lua_tointegerx(L, -1, &is_integer);
  if (lua_isnil(L, -1)) {
    if (missing < 0) return luaL_error(L, "field '%s' missing in date table", name);
    value = missing;
  } else if (!is_integer || value < -1000000000 || value > 1000000000) {
    return luaL_error(L, "field '%s' is not an integer in range", name);
  }
  lua_pop(L, 1);
  return value;
}

// Admission time, or the instant of a table of civil fields in UTC.
static int os_time(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_pushinteger(L, th_worker_of(L)->clock_ns / 1000000000);
    return 1;
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  struct tm tm = {0};
  tm.tm_year = (int)(field(L, "year", -1) - 1900);
  tm.tm_mon = (int)(field(L, "month", -1) - 1);
  tm.tm_mday = (int)field(L, "day", -1);
  tm.tm_hour = (int)field(L, "hour", 12);
  tm.tm_min = (int)field(L, "min", 0);
  tm.tm_sec = (int)field(L, "sec", 0);
  lua_pushinteger(L, (lua_Integer)timegm(&tm));
  return 1;
}

// Lua's own date, always UTC and with the admission time as default. Upvalue: that date.
static int os_date(lua_State *L) {
  const char *format = luaL_optstring(L, 1, "%c");
  lua_Integer time = luaL_optinteger(L, 2, th_worker_of(L)->clock_ns / 1000000000);
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushfstring(L, "!%s", *format == '!' ? format + 1 : format);
  lua_pushinteger(L, time);
  lua_call(L, 2, 1);
  return 1;
}

static int os_clock(lua_State *L) {
  lua_pushnumber(L, 0);  // CPU time differs between runs
  return 1;
}

void th_open_os(lua_State *L) {
  static const char *const oses[] = {"date", "difftime", NULL};
  open_listed(L, "os", luaopen_os, oses);
  lua_getfield(L, -1, "date");
  lua_pushcclosure(L, os_date, 1);
  lua_setfield(L, -2, "date");
  lua_pushcfunction(L, os_time);
  lua_setfield(L, -2, "time");
  lua_pushcfunction(L, os_clock);
  lua_setfield(L, -2, "clock");
  lua_pop(L, 1);
}
