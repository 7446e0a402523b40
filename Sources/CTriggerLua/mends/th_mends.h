// What is put right in the Lua that is linked: its compiler's time and code, weak tables and finalizers, the handler of
// a coroutine that is closed. th_dump.h is for those who read compiled code.
#ifndef TH_MENDS_H
#define TH_MENDS_H

#include "watch/th_watch.h"

// --- th_source.c
// Compiles text, as luaL_loadbufferx in mode "t", but ends with the attempt, and refuses what would take the parser long.
// Returns Lua's status and leaves the function or the message. Raises the attempt's end. [-0, +1]
int th_load_text(lua_State *L, const char *text, size_t length, const char *chunk);

// --- th_code.c
// Puts right what is wrong in the code of the Lua function that was just compiled and is on top. 0: it cannot be, and
// a text that says so is there in its place. May raise (memory).
int th_mend_code(lua_State *L);
int th_code_selftest(lua_State *L);         // may raise (memory)

// --- th_modes.c
void th_open_modes(lua_State *L);           // first of all. Raises
void th_push_weak_table(lua_State *L);      // a table of our own with weak keys. May raise. [-0, +1]

// --- th_handler.c
int th_handler_find(lua_State *L);          // 0: it is not where it can be. May raise (memory)
void th_handler_forget(lua_State *co);      // before a coroutine is closed. Does not raise.

// --- th_fitting.c
void th_test_guards(lua_State *L);          // raises when one does not fit the library

#endif
