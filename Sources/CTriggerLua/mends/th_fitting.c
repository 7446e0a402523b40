// Whether the guards that are on fit the library that is linked (th_guards.c says why that is asked).
#include "mends/th_mends.h"

void th_test_guards(lua_State *L) {
  int on = th_guards(), failed = 0;
  if (on & TH_GUARD_STACKS && !th_stacks_selftest(L)) failed = TH_GUARD_STACKS;
  else if (on & TH_GUARD_HANDLER && !th_handler_find(L)) failed = TH_GUARD_HANDLER;
  else if (on & TH_GUARD_CODE && !th_code_selftest(L)) failed = TH_GUARD_CODE;
  if (failed) luaL_error(L, "the guard '%s' does not fit this library of %s", th_guard_name(failed), th_lua_release());
}
