// The sandbox's libraries. Each of th_open_* pushes nothing and sets globals or library tables into the table on top of
// the stack (the sandbox's global table).
#ifndef TH_LIBRARIES_H
#define TH_LIBRARIES_H

#include "codec/th_codec.h"

// assert error getmetatable ipairs load next pairs pcall rawequal rawget rawlen rawset select setmetatable tonumber
// tostring type xpcall _VERSION, null, array
void th_open_base(lua_State *L);
void th_open_coroutine(lua_State *L);
void th_open_table(lua_State *L);
void th_open_math(lua_State *L);
void th_open_os(lua_State *L);         // time date clock difftime, from worker->clock_ns, UTC

void th_seed(th_worker *w, uint64_t seed);   // math.random

// --- th_traceback.c
// Pushes a traceback of `of` from a level on, behind `message` if there is one. As luaL_traceback, in time that does
// not depend on what is skipped but for one look at each frame. May raise (memory).
void th_traceback(lua_State *L, lua_State *of, const char *message, int level);
// The level of the running function's callers that a script calls `level`: it does not count guards (th_freeze.c).
int th_level(lua_State *L, int level);

#endif
