// A build with checks looks at what each function leaves on Lua's stack (TH_EFFECT).
#include <stdio.h>
#include <stdlib.h>
#include "ground/th_ground.h"

#ifdef TH_CHECKS
void th_check_effect(const th_effect *e) {
  int change = lua_gettop(e->L) - e->top;
  if (change >= e->least && change <= e->most) return;
  fprintf(stderr, "trigger-host: %s changed Lua's stack by %d, not by %d to %d\n", e->function, change, e->least, e->most);
  abort();
}
#endif
