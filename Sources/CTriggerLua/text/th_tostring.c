// tostring as scripts see it.
#include <math.h>
#include "text/th_text.h"

// Text without addresses: two runs must print the same.
const char *th_tostring(lua_State *L, int index, size_t *length) {
  TH_EFFECT(L, 1);
  index = lua_absindex(L, index);
  if (luaL_callmeta(L, index, "__tostring")) {
    if (!lua_isstring(L, -1)) luaL_error(L, "'__tostring' must return a string");
    return lua_tolstring(L, -1, length);
  }
  switch (lua_type(L, index)) {
    case LUA_TNUMBER:
      if (!lua_isinteger(L, index) && isnan(lua_tonumber(L, index))) {
        lua_pushliteral(L, "nan");
        return lua_tolstring(L, -1, length);
      }
      return luaL_tolstring(L, index, length);
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, index) == NULL) {
        lua_pushliteral(L, "null");
        return lua_tolstring(L, -1, length);
      }
      break;
    case LUA_TNIL: case LUA_TBOOLEAN: case LUA_TSTRING:
      return luaL_tolstring(L, index, length);
    default: break;
  }
  int name = luaL_getmetafield(L, index, "__name");
  if (name == LUA_TSTRING) return lua_tolstring(L, -1, length);
  if (name != LUA_TNIL) lua_pop(L, 1);
  lua_pushstring(L, luaL_typename(L, index));
  return lua_tolstring(L, -1, length);
}
