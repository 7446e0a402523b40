// What is kept between executions: which values can be, the guards that stand before them, writes to them.
#ifndef TH_FROZEN_H
#define TH_FROZEN_H

#include "text/th_text.h"

// --- th_freeze.c
// Freezes everything reachable from the value at index and returns 1, or changes nothing and returns 0
// when something reachable cannot be kept. Raises (memory).
int th_freeze(lua_State *L, int index, th_tree *tree);
// Replaces the table on top by a read-only one; writes call `write` (t, k, v), which has `name` as its
// first upvalue. Raises (memory).
void th_freeze_library(lua_State *L, const char *name, lua_CFunction write);
// Called for a write to a frozen table. Marks the trigger as one whose chunk must run anew for each
// execution and abandons this run (th_run then runs it again in that mode). Does not return.
int th_frozen_write(lua_State *L);
// The metatable of the value at index as a script may see it: pushes it and returns 1, or pushes
// nothing and returns 0. The mark of arrays is not shown; a frozen table shows the metatable it had.
// `__metatable` is the caller's business. setmetatable is the other half: a frozen table given as
// metatable is attached by its content, so that the VM finds the metamethods raw.
int th_shown_metatable(lua_State *L, int index);
// Whether a frame of `of` is the guard of a frozen table, which scripts do not see. Does not raise.
int th_is_guard(lua_State *L, lua_State *of, lua_Debug *ar);

// --- th_purity.c
// True when a call of the Lua function at the top may assign an upvalue that outlives the call.
// May raise (memory).
int th_assigns_upvalues(lua_State *L);
int th_purity_selftest(lua_State *L);

#endif
