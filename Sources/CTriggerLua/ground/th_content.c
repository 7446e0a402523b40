// The content of a table that is kept between executions (th_freeze.c). Whatever looks at a table raw looks at that.
#include "ground/th_ground.h"

const char th_content_key;

// Pushes the content of a frozen table. [-0, +(0|1), -]
int th_frozen_content(lua_State *L, int index) {
  TH_EFFECT_BETWEEN(L, 0, 1);
  if (lua_type(L, index) != LUA_TTABLE) return 0;
  index = lua_absindex(L, index);
  luaL_checkstack(L, 3, NULL);
  if (!lua_getmetatable(L, index)) return 0;
  if (lua_rawgetp(L, -1, &th_content_key) != LUA_TTABLE) { lua_pop(L, 2); return 0; }
  lua_remove(L, -2);
  return 1;
}
