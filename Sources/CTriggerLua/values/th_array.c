// The mark of arrays: one metatable per worker, shown to no script (th_shown_metatable). Decoded arrays and array{}
// carry it.
#include "values/th_values.h"

void th_mark_array(lua_State *L, int index) {
  TH_EFFECT(L, 0);
  index = lua_absindex(L, index);
  if (th_frozen_content(L, index)) {  // a mark would replace the guard
    lua_pop(L, 1);
    if (!th_is_array(L, index)) th_frozen_write(L);
    return;
  }
  th_get_ref(L, th_worker_of(L)->runner->array_ref);
  lua_setmetatable(L, index);
}

int th_is_array(lua_State *L, int index) {
  TH_EFFECT(L, 0);
  if (lua_type(L, index) != LUA_TTABLE) return 0;
  int content = th_frozen_content(L, index);
  if (!lua_getmetatable(L, content ? -1 : index)) { lua_pop(L, content); return 0; }
  th_get_ref(L, th_worker_of(L)->runner->array_ref);
  int marked = lua_rawequal(L, -1, -2);
  lua_pop(L, 2 + content);
  return marked;
}
