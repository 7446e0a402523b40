// math: the library's own functions, save random, which draws from the worker's generator so that an operation
// sees the same numbers when it runs again.
#include <string.h>
#include <lualib.h>
#include "libraries/th_libraries.h"

// --- xoshiro256** (Blackman and Vigna), seeded by splitmix64

static uint64_t rotate_left(uint64_t x, int n) { return x << n | x >> (64 - n); }

static uint64_t draw(th_worker *w) {
  w->looked = 1;
  uint64_t *s = w->random, result = rotate_left(s[1] * 5, 7) * 9, shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = rotate_left(s[3], 45);
  return result;
}

void th_seed(th_worker *w, uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    uint64_t z = seed += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    w->random[i] = z ^ z >> 31;
  }
}

// Uniform in 0..most: draws of as many bits as `most` has, until one is not above it.
static uint64_t draw_up_to(th_worker *w, uint64_t most) {
  if (most == 0) return 0;
  uint64_t mask = UINT64_MAX >> __builtin_clzll(most), n;
  do n = draw(w) & mask; while (n > most);
  return n;
}

static int math_random(lua_State *L) {
  th_worker *w = th_worker_of(L);
  lua_Integer low = 1, high;
  switch (lua_gettop(L)) {
    case 0:
      lua_pushnumber(L, (lua_Number)(draw(w) >> 11) * 0x1p-53);
      return 1;
    case 1:
      high = luaL_checkinteger(L, 1);
      if (high == 0) {
        lua_pushinteger(L, (lua_Integer)draw(w));
        return 1;
      }
      break;
    case 2:
      low = luaL_checkinteger(L, 1);
      high = luaL_checkinteger(L, 2);
      break;
    default: return luaL_error(L, "wrong number of arguments");
  }
  luaL_argcheck(L, low <= high, lua_gettop(L), "interval is empty");
  uint64_t n = draw_up_to(w, (uint64_t)high - (uint64_t)low);
  lua_pushinteger(L, (lua_Integer)((uint64_t)low + n));
  return 1;
}

// Without an argument the operation's seed stays: there is no other source of chance.
static int math_randomseed(lua_State *L) {
  if (lua_isnone(L, 1)) return 0;
  lua_Number f = luaL_checknumber(L, 1);
  lua_Integer n;
  if (!lua_numbertointeger(f, &n)) memcpy(&n, &f, sizeof n);
  if (lua_isinteger(L, 1)) n = lua_tointeger(L, 1);
  th_seed(th_worker_of(L), (uint64_t)n ^ rotate_left((uint64_t)luaL_optinteger(L, 2, 0), 32));
  return 0;
}

void th_open_math(lua_State *L) {
  TH_EFFECT(L, 0);
  static const char *const kept[] = {
    "abs", "acos", "asin", "atan", "ceil", "cos", "deg", "exp", "floor", "fmod", "huge", "log", "max", "maxinteger",
    "min", "mininteger", "modf", "pi", "rad", "sin", "sqrt", "tan", "tointeger", "type", "ult", NULL,
  };
  static const luaL_Reg own[] = {{"random", math_random}, {"randomseed", math_randomseed}, {NULL, NULL}};
  lua_newtable(L);
  lua_pushcfunction(L, luaopen_math);
  lua_call(L, 0, 1);
  for (const char *const *name = kept; *name; name++) {
    lua_getfield(L, -1, *name);
    lua_setfield(L, -3, *name);
  }
  lua_pop(L, 1);
  luaL_setfuncs(L, own, 0);
  lua_setfield(L, -2, "math");
}
